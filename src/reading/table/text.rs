//! The encoding of a text file, found out and undone: what comes out is UTF-8, with the byte FF, which UTF-8 never has,
//! wherever the file's bytes mean nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, UTF_8};
use sha2::{Digest, Sha256};

use super::{Hashing, TableError};

/// Read at a time.
const PIECE: usize = 64 * 1024;
/// How much text with letters beyond ASCII the detector is shown; more does not change its mind.
const SHOWN_TO_DETECTOR: usize = 1 << 20;
/// Stands for bytes that mean nothing; never part of UTF-8.
pub(super) const NO_TEXT: u8 = 0xFF;

/// How the bytes of a file are to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    pub name: &'static encoding_rs::Encoding,
    pub guessed: bool,
    bom_bytes: usize,
}

/// What one look at the whole file tells.
pub(super) struct Survey {
    pub encoding: Encoding,
    pub sha256: [u8; 32],
    /// The first character that is no white space.
    pub begins_with: Option<char>,
}

/// Reads the whole file once. UTF-8 is proven, not guessed: by every byte. A file that is UTF-8 but for fewer places than
/// it has letters beyond ASCII is UTF-8 with bad rows; any other is guessed by its letters.
pub(super) fn survey(path: &Path, mut file: File, label: Option<&str>) -> Result<Survey, TableError> {
    let chosen = label.map(|label| {
        encoding_rs::Encoding::for_label(label.trim().as_bytes()).ok_or_else(|| TableError::NoSuchEncoding {
            label: crate::reading::shown(label),
        })
    });
    let chosen = chosen.transpose()?;
    let mut digest = Sha256::new();
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut shown = 0;
    let mut utf8 = Utf8Count::default();
    let mut bom = None;
    let mut begins_with = None;
    let mut piece = vec![0; PIECE];
    let mut first = true;
    loop {
        let count = fill(&mut file, &mut piece).map_err(|source| TableError::read(path, source))?;
        let bytes = &piece[..count];
        if first {
            first = false;
            bom = encoding_rs::Encoding::for_bom(bytes);
            begins_with = first_character(bytes, bom.or(chosen.map(|name| (name, 0))));
        }
        digest.update(bytes);
        utf8.feed(bytes);
        if shown < SHOWN_TO_DETECTOR && !bytes.is_ascii() {
            detector.feed(bytes, false);
            shown += count;
        }
        if count < piece.len() {
            break;
        }
    }
    let encoding = match (bom, chosen) {
        (Some((name, bom_bytes)), _) => Encoding {
            name,
            guessed: false,
            bom_bytes,
        },
        (None, Some(name)) => Encoding {
            name,
            guessed: false,
            bom_bytes: 0,
        },
        (None, None) if utf8.broken <= utf8.letters => Encoding {
            name: UTF_8,
            guessed: utf8.broken > 0,
            bom_bytes: 0,
        },
        (None, None) => Encoding {
            name: detector.guess(None, Utf8Detection::Deny),
            guessed: true,
            bom_bytes: 0,
        },
    };
    Ok(Survey {
        encoding,
        sha256: digest.finalize().into(),
        begins_with,
    })
}

fn first_character(bytes: &[u8], bom: Option<(&'static encoding_rs::Encoding, usize)>) -> Option<char> {
    let (encoding, skipped) = bom.unwrap_or((UTF_8, 0));
    let (text, _) = encoding.decode_without_bom_handling(&bytes[skipped..]);
    text.chars().find(|c| !c.is_whitespace())
}

/// Fills the buffer, unless the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// How far a text is UTF-8.
#[derive(Default)]
struct Utf8Count {
    /// Letters beyond ASCII, well encoded.
    letters: u64,
    /// Places that are no UTF-8.
    broken: u64,
    /// The beginning of a letter that the last piece cut in two.
    rest: Vec<u8>,
}
impl Utf8Count {
    fn feed(&mut self, bytes: &[u8]) {
        if self.rest.is_empty() && bytes.is_ascii() {
            return;
        }
        let mut joined = std::mem::take(&mut self.rest);
        joined.extend_from_slice(bytes);
        let mut bytes = joined.as_slice();
        loop {
            let (good, broken) = match std::str::from_utf8(bytes) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (good, rest) = bytes.split_at(error.valid_up_to());
                    let good = std::str::from_utf8(good).unwrap_or_default();
                    (good, Some((rest, error.error_len())))
                }
            };
            self.letters += good.chars().filter(|c| !c.is_ascii()).count() as u64;
            match broken {
                None => return,
                Some((rest, None)) => {
                    self.rest = rest.to_vec();
                    return;
                }
                Some((rest, Some(skipped))) => {
                    self.broken += 1;
                    bytes = &rest[skipped..];
                }
            }
        }
    }
}

/// The file's text as UTF-8, hashed as it is read.
pub(super) fn open(
    path: &Path,
    encoding: Encoding,
    digest: &Arc<Mutex<Sha256>>,
) -> Result<Box<dyn BufRead + Send>, TableError> {
    let failed = |source| TableError::read(path, source);
    let mut raw = BufReader::with_capacity(
        PIECE,
        Hashing {
            // Again: it may be another file by now.
            inner: super::regular_file(path)?,
            digest: Arc::clone(digest),
        },
    );
    let mut bom = [0; 3];
    fill(&mut raw, &mut bom[..encoding.bom_bytes]).map_err(failed)?;
    if encoding.name == UTF_8 {
        return Ok(Box::new(raw));
    }
    Ok(Box::new(Decoded {
        raw,
        decoder: encoding.name.new_decoder_without_bom_handling(),
        ready: Vec::with_capacity(4 * PIECE),
        used: 0,
        ended: false,
    }))
}

/// Another encoding turned into UTF-8 on the fly.
struct Decoded<R> {
    raw: R,
    decoder: Decoder,
    ready: Vec<u8>,
    used: usize,
    ended: bool,
}
impl<R: BufRead> Decoded<R> {
    /// Decodes the next piece.
    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.used = 0;
        while self.ready.is_empty() && !self.ended {
            let bytes = self.raw.fill_buf()?;
            let last = bytes.is_empty();
            let mut read = 0;
            loop {
                let room = self
                    .decoder
                    .max_utf8_buffer_length_without_replacement(bytes.len() - read)
                    .unwrap_or(4 * PIECE);
                let start = self.ready.len();
                self.ready.resize(start + room, 0);
                let (result, taken, written) =
                    self.decoder
                        .decode_to_utf8_without_replacement(&bytes[read..], &mut self.ready[start..], last);
                self.ready.truncate(start + written);
                read += taken;
                match result {
                    DecoderResult::Malformed(_, _) => self.ready.push(NO_TEXT),
                    DecoderResult::InputEmpty => break,
                    DecoderResult::OutputFull => {}
                }
            }
            self.ended = last;
            self.raw.consume(read);
        }
        Ok(())
    }
}
impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let count = bytes.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
impl<R: BufRead> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.ready.len() {
            self.refill()?;
        }
        Ok(&self.ready[self.used..])
    }
    fn consume(&mut self, count: usize) {
        self.used += count;
    }
}
