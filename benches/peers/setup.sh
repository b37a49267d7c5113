#!/bin/sh
# Makes everything the peers need under one scratch folder (default target/peers):
# throw-away keys, a Python environment and the Node packages.
# Needs: gpg, python3-venv, node + npm, postfix (only for its smtp-sink).
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
D=$(realpath -m "${1:-target/peers}")
mkdir -p "$D/gnupg" "$D/node"
chmod 700 "$D/gnupg"
export GNUPGHOME="$D/gnupg"
key() { # address algorithm usage-of-subkey
    gpg --batch --quiet --list-keys "$1" >/dev/null 2>&1 && return 0
    gpg --batch --quiet --pinentry-mode loopback --passphrase '' \
        --quick-generate-key "$1" "$2" sign 0
    fpr=$(gpg --batch --with-colons --list-keys "$1" | awk -F: '/^fpr/{print $10; exit}')
    gpg --batch --quiet --pinentry-mode loopback --passphrase '' \
        --quick-add-key "$fpr" "$3" encr 0
}
key signer@example.org ed25519 cv25519
key cv25519@example.net ed25519 cv25519
key rsa4096@example.net rsa4096 rsa4096
gpg --batch --quiet --yes --armor --output "$D/signer.sec.asc" --export-secret-keys signer@example.org
for r in cv25519 rsa4096; do
    gpg --batch --quiet --yes --armor --output "$D/$r.asc" --export "$r@example.net"
done
[ -x "$D/venv/bin/python" ] || python3 -m venv "$D/venv"
"$D/venv/bin/pip" install -q jinja2 python-gnupg pysequoia
cp "$HERE/node_send.mjs" "$HERE/notice.hbs" "$D/node/"
cd "$D/node"
[ -f package.json ] || npm init -y >/dev/null
npm install --silent nodemailer@10 openpgp@6 handlebars@4 nodemailer-openpgp@2
echo "ready: $D"
