//! The few words a template may use besides facts, as the check of templates knows them. What they do stands in `program`.

/// A helper of ours, as the check of templates knows it.
pub(super) struct Known {
    pub name: &'static str,
    pub usage: &'static str,
    /// Its first word is a label in quotes.
    pub labelled: bool,
    pub takes_list: bool,
    pub only_list: bool,
}

/// Every helper that writes something. Besides these a template may use `#if`, `#unless`, `#each`, `#with`, and in
/// conditions `(and a b)`, `(or a b)`, `(not a)`.
pub(super) const HELPERS: [Known; 4] = [
    Known {
        name: "field",
        usage: r#"{{field "Label" fact}}"#,
        labelled: true,
        takes_list: true,
        only_list: false,
    },
    Known {
        name: "optional",
        usage: r#"{{optional "Label" fact}}"#,
        labelled: true,
        takes_list: true,
        only_list: false,
    },
    Known {
        name: "paragraph",
        usage: "{{paragraph fact}}",
        labelled: false,
        takes_list: false,
        only_list: false,
    },
    Known {
        name: "list",
        usage: "{{list facts}}",
        labelled: false,
        takes_list: true,
        only_list: true,
    },
];
