//! What a phrase is worth in its sentence: whether that denies, promises or asks for what the phrase says, and of what it
//! speaks. Knows the senses of the words around it, and nothing of what follows.

use super::{Hit, Sense, Sentence, spans};

/// Reads the sentences in which receipt may be confirmed, and notes those that deny it. The words that only serve this are
/// dropped.
pub(super) fn judge(folded: &str, hits: &mut Vec<Hit>) {
    let sentences = Sentences::read(folded, hits);
    let denials: Vec<Hit> = hits
        .iter()
        .filter(|hit| hit.sense == Sense::Negator && sentences.denies(hit))
        .map(|hit| Hit {
            sense: Sense::Denied,
            ..hit.clone()
        })
        .collect();
    hits.retain_mut(|hit| match hit.sense {
        Sense::Negator
        | Sense::NotNegator
        | Sense::Condition
        | Sense::Object
        | Sense::OtherThing
        | Sense::Yours
        | Sense::Arrival
        | Sense::Asked
        | Sense::Taken => false,
        Sense::Receipt | Sense::ReceiptWeak | Sense::Thanks | Sense::Ticket => {
            hit.sentence = sentences.around(hit);
            true
        }
        Sense::Confirms | Sense::Received => {
            hit.sentence = sentences.around(hit);
            sentences.completes(hit)
        }
        _ => true,
    });
    hits.extend(denials);
}

/// The sentences of a text, and where in them the words stand that say how another is meant.
struct Sentences<'t> {
    folded: &'t str,
    ends: Vec<usize>,
    negators: Vec<usize>,
    conditions: Vec<usize>,
    objects: Vec<usize>,
    others: Vec<usize>,
    yours: Vec<usize>,
    arrivals: Vec<usize>,
    asked: Vec<usize>,
    taken: Vec<usize>,
}
impl<'t> Sentences<'t> {
    fn read(folded: &'t str, hits: &[Hit]) -> Self {
        let starts = |senses: &[Sense]| -> Vec<usize> {
            let of_them = hits.iter().filter(|hit| senses.contains(&hit.sense));
            let mut starts: Vec<usize> = of_them.map(|hit| hit.start).collect();
            starts.sort_unstable();
            starts
        };
        let harmless = spans(hits, Sense::NotNegator);
        let mut negators = starts(&[Sense::Negator]);
        negators.retain(|at| !harmless.iter().any(|(start, end)| start <= at && at < end));
        Self {
            folded,
            ends: sentence_ends(folded),
            negators,
            conditions: starts(&[Sense::Condition]),
            objects: starts(&[Sense::Object]),
            others: starts(&[Sense::OtherThing]),
            yours: starts(&[Sense::Yours]),
            arrivals: starts(&[Sense::Arrival]),
            asked: starts(&[Sense::Asked]),
            taken: starts(&[Sense::Taken, Sense::ReceiptWeak]),
        }
    }

    /// From where to where the sentence of a hit goes.
    fn of(&self, hit: &Hit) -> (usize, usize) {
        let number = self.ends.partition_point(|end| *end <= hit.start);
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let last = self.ends.partition_point(|end| *end < hit.end);
        (from, self.ends.get(last).copied().unwrap_or(self.folded.len()))
    }

    /// Something was not received or taken, by a word that does turn its sentence round and supposes nothing.
    fn denies(&self, negator: &Hit) -> bool {
        let (from, to) = self.of(negator);
        self.negators.binary_search(&negator.start).is_ok()
            && any(&self.taken, from, to)
            && !any(&self.conditions, from, negator.start)
    }

    /// How the sentence of a receipt phrase stands to it.
    fn around(&self, hit: &Hit) -> Sentence {
        let (from, to) = self.of(hit);
        let asks = self.folded[from..to].trim_end().ends_with(['?', '\u{ff1f}']);
        let names = any(&self.objects, from, to);
        Sentence {
            plain: !asks
                && !any(&self.negators, from, to)
                && !any(&self.others, from, to)
                // Between the halves of a phrase too: "your notification mentions that it was received".
                && !any(&self.conditions, from, hit.end)
                && (names || hit.sense == Sense::Ticket || !any(&self.yours, from, to)),
            names,
        }
    }

    /// Whether a word that confirms together with others has them in its sentence.
    fn completes(&self, hit: &Hit) -> bool {
        let (from, to) = self.of(hit);
        let has = |words: &[usize]| any(words, from, to);
        !has(&self.asked)
            && match hit.sense {
                Sense::Confirms => has(&self.arrivals),
                _ => has(&self.objects) && has(&self.yours),
            }
    }
}

/// Whether one of the sorted places lies between.
fn any(sorted: &[usize], from: usize, to: usize) -> bool {
    let next = sorted.partition_point(|at| *at < from);
    sorted.get(next).is_some_and(|at| *at < to)
}

/// Where the sentences of a folded text end. Where a stop may belong to a date or an abbreviation, none is seen: rather two
/// sentences are taken for one than one for two, of which the second would lose its "not".
fn sentence_ends(folded: &str) -> Vec<usize> {
    // Of three letters; shorter words before a stop are taken for abbreviations, longer ones end their sentence.
    const ABBREVIATIONS: [&str; 16] = [
        "abs", "apr", "art", "aug", "bzw", "dec", "dez", "feb", "gem", "ggf", "jan", "nov", "okt", "ref", "tel", "vgl",
    ];
    let mut ends = Vec::new();
    let mut word = 0;
    let mut chars = folded.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let is_end = match c {
            '\n' | '!' | '?' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}' => true,
            '.' => {
                let before = &folded[word..at];
                let short = (1..=2).contains(&before.chars().count()) || ABBREVIATIONS.contains(&before);
                next.is_none_or(char::is_whitespace) && !short
            }
            _ => false,
        };
        if is_end {
            ends.push(at + c.len_utf8());
        }
        if !c.is_alphanumeric() {
            word = at + c.len_utf8();
        }
    }
    ends
}
