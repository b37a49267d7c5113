//! Where in a text its values stood. Kept as a tree of names, so that its size follows the text's.

/// A position in a text; both 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}
impl Place {
    /// The position of a byte; what is not UTF-8 counts by its bytes.
    pub(super) fn of_offset(bytes: &[u8], offset: usize) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = 1 + String::from_utf8_lossy(&before[start..]).chars().count();
        Self { line, column }
    }
}
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[derive(Debug)]
enum Name {
    Key(String),
    Index(usize),
}
#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    name: Name,
    /// Where the key stands; for a list's item, the item.
    begins: Place,
    /// Where the value stands.
    value: Place,
}

/// A value of the text.
pub(super) struct Found {
    /// Where its key stands.
    pub begins: Place,
    pub value: Place,
    pub path: String,
    /// The path of what holds it.
    pub around: String,
}

/// Where each value of a text stood, by paths such as `measures.taken[0].at`.
#[derive(Debug, Default)]
pub struct Places {
    nodes: Vec<Node>,
}
impl Places {
    pub(super) fn add_key(&mut self, parent: Option<usize>, key: &str, begins: Place) -> usize {
        self.add(parent, Name::Key(key.to_owned()), begins)
    }
    pub(super) fn add_item(&mut self, parent: Option<usize>, index: usize, begins: Place) -> usize {
        self.add(parent, Name::Index(index), begins)
    }
    fn add(&mut self, parent: Option<usize>, name: Name, begins: Place) -> usize {
        self.nodes.push(Node {
            parent,
            name,
            begins,
            value: begins,
        });
        self.nodes.len() - 1
    }
    pub(super) fn value_at(&mut self, node: usize, value: Place) {
        self.nodes[node].value = value;
    }

    /// Where the value of this path stands, or the nearest one around it that the text has.
    pub fn find(&self, path: &str) -> Place {
        let mut path = path;
        while !path.is_empty() {
            if let Some(node) = (0..self.nodes.len()).find(|n| self.is_path(*n, path)) {
                return self.nodes[node].value;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
        self.nodes.first().map_or(Place { line: 1, column: 1 }, |n| n.begins)
    }

    fn is_path(&self, node: usize, path: &str) -> bool {
        let mut rest = path;
        let mut at = Some(node);
        while let Some(Node { parent, name, .. }) = at.map(|n| &self.nodes[n]) {
            let head = match name {
                Name::Key(key) => rest.strip_suffix(key.as_str()),
                Name::Index(i) => rest.strip_suffix(&format!("[{i}]")),
            };
            let Some(head) = head else { return false };
            rest = match (name, parent) {
                (Name::Key(_), Some(_)) => match head.strip_suffix('.') {
                    Some(head) => head,
                    None => return false,
                },
                _ => head,
            };
            at = *parent;
        }
        rest.is_empty()
    }

    /// The last value that begins before `place`.
    pub(super) fn last_before(&self, place: Place) -> Option<Found> {
        let after = self.nodes.partition_point(|n| n.begins < place);
        let at = after.checked_sub(1)?;
        let node = &self.nodes[at];
        Some(Found {
            begins: node.begins,
            value: node.value,
            path: self.path(Some(at)),
            around: self.path(node.parent),
        })
    }

    fn path(&self, node: Option<usize>) -> String {
        let mut names = Vec::new();
        let mut at = node;
        while let Some(Node { parent, name, .. }) = at.map(|n| &self.nodes[n]) {
            names.push(name);
            at = *parent;
        }
        let mut path = String::new();
        for name in names.iter().rev() {
            match name {
                Name::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&super::shown(key));
                }
                Name::Index(i) => path.push_str(&format!("[{i}]")),
            }
        }
        path
    }
}
