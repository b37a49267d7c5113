//! Reads the templates and labels of an operator's own folder, which take the place of the built-in ones. Knows nothing of
//! what is in them.

use std::path::Path;

use super::{Audience, Finding, MAX_FILE_BYTES, TemplateError, Templates};

/// Takes every file of the folder that has a template's or a label file's place; the others are reported as strays.
pub(super) fn read(folder: &Path, into: &mut Templates) -> Result<(), TemplateError> {
    for part in Audience::ALL.map(Audience::name).into_iter().chain(["labels"]) {
        let part_folder = folder.join(part);
        if !part_folder.is_dir() {
            continue;
        }
        for item in std::fs::read_dir(&part_folder).map_err(failed(&part_folder))? {
            let path = item.map_err(failed(&part_folder))?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            if name.starts_with('.') || !path.is_file() {
                continue;
            }
            let source = read_file(&path)?;
            let shown = path.display().to_string();
            if !into.place(&format!("{part}/{name}"), shown.clone(), source) {
                let problem = "is not used; a template is named by its language, such as `fr.hbs`, a discreet message to \
                               individuals `fr.discreet.hbs`, labels `fr.yaml`";
                into.strays.push(Finding::whole(&shown, problem));
            }
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<String, TemplateError> {
    if path.metadata().map_err(failed(path))?.len() > MAX_FILE_BYTES {
        let path = path.display().to_string();
        return Err(TemplateError::TooLarge { path });
    }
    std::fs::read_to_string(path).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> TemplateError + use<> {
    let path = path.display().to_string();
    move |source| TemplateError::Read { path, source }
}
