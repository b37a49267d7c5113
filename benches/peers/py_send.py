#!/usr/bin/env python3
"""Send N rendered breach notices to an SMTP server on the loopback address.

Engines: plain (no OpenPGP), gpg (one gpg process a message, what an operator's
script does), python-gnupg (the same through the wrapper), pysequoia (in process).
Prints one line: peer, mode, count, workers, wall seconds, messages a second.
"""
import argparse, multiprocessing as mp, os, smtplib, subprocess, time
from email import policy
from email.message import EmailMessage, MIMEPart
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.encoders import encode_7or8bit
import jinja2

HERE = os.path.dirname(os.path.abspath(__file__))
SMTP = policy.SMTP


def variables(i):
    return dict(
        name=f"Person {i}", email=f"user{i}@example.net", ref=f"BR-2026-{i:07}",
        org="Example Hospital", when="2026-11-12 09:30", detected="2026-11-14 07:00",
        nature="unauthorised access to the appointment system",
        categories="name, date of birth, insurance number",
        consequences="Phishing and identity fraud are possible.",
        measures="All sessions were ended and all passwords reset.",
        advice="Change your password wherever you have used it.",
        dpo_name="J. Doe", dpo_email="dpo@example.org", dpo_phone="+49 30 1234",
        ack_url=f"https://ack.example.org/a/{i:08x}")


def encryptor(engine, d, rcpt):
    """Return a function bytes -> armored sign+encrypted str."""
    addr = f"{rcpt}@example.net"
    if engine == "gpg":
        cmd = ["gpg", "--homedir", f"{d}/gnupg", "--batch", "--quiet", "--trust-model",
               "always", "--armor", "--sign", "--encrypt", "--local-user",
               "signer@example.org", "--recipient", addr, "--compress-algo", "none"]
        return lambda b: subprocess.run(cmd, input=b, stdout=subprocess.PIPE, check=True).stdout.decode()
    if engine == "python-gnupg":
        import gnupg
        g = gnupg.GPG(gnupghome=f"{d}/gnupg")

        def run(b):
            r = g.encrypt(b, [addr], sign="signer@example.org", always_trust=True,
                          extra_args=["--compress-algo", "none"])
            assert r.ok, r.stderr
            return str(r)
        return run
    if engine == "pysequoia":
        import pysequoia
        cert = pysequoia.Cert.from_file(f"{d}/{rcpt}.asc")
        me = pysequoia.Tsk.from_file(f"{d}/signer.sec.asc") if hasattr(pysequoia, "Tsk") \
            else pysequoia.Cert.from_file(f"{d}/signer.sec.asc").secrets
        return lambda b: pysequoia.encrypt(b, recipients=[cert], signer=me.signer()).decode()
    return None


def build(i, tpl, enc):
    v = variables(i)
    text = tpl.render(v)
    if enc is None:
        m = EmailMessage(policy=SMTP)
        m.set_content(text, cte="8bit")
    else:
        part = MIMEPart(policy=SMTP)
        part.set_content(text, cte="quoted-printable")
        m = MIMEMultipart("encrypted", protocol="application/pgp-encrypted", policy=SMTP)
        m.attach(MIMEApplication(b"Version: 1\r\n", "pgp-encrypted", encode_7or8bit, policy=SMTP))
        m.attach(MIMEApplication(enc(part.as_bytes()), "octet-stream", encode_7or8bit,
                                 name="encrypted.asc", policy=SMTP))
    m["From"] = "Data Protection <dpo@example.org>"
    m["To"] = v["email"]
    m["Subject"] = f"Notice of a personal data breach ({v['ref']})" if enc is None else "..."
    m["Message-ID"] = f"<{i}.{v['ref']}@example.org>"
    return v["email"], m.as_bytes()


def worker(a, first):
    tpl = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        open(os.path.join(HERE, "notice.hbs")).read())
    enc = encryptor(a.engine, a.dir, a.rcpt)
    with smtplib.SMTP("127.0.0.1", a.port) as s:
        for i in range(first, a.count, a.workers):
            to, raw = build(i, tpl, enc)
            s.sendmail("dpo@example.org", [to], raw)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--engine", choices=["plain", "gpg", "python-gnupg", "pysequoia"], default="plain")
    p.add_argument("--rcpt", choices=["cv25519", "rsa4096"], default="cv25519")
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--port", type=int, default=2525)
    p.add_argument("--dir", default="target/peers")
    a = p.parse_args()
    t = time.time()
    ps = [mp.Process(target=worker, args=(a, k)) for k in range(a.workers)]
    [x.start() for x in ps]
    [x.join() for x in ps]
    assert all(x.exitcode == 0 for x in ps)
    w = time.time() - t
    print(f"peer=python/{a.engine} rcpt={a.rcpt if a.engine != 'plain' else '-'} count={a.count} "
          f"workers={a.workers} wall_s={w:.2f} msgs_per_s={a.count / w:.0f}")
