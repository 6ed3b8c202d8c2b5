//! `rebuild.md`: how to make the same release again from the dumps, and how to tell that it is the same.
//!
//! Its `sh` blocks are a script: run in order, with `DUMPS` naming the directory of the dumps, they end with exit code 0 exactly
//! when the release was rebuilt. So the page has everything in it, the configuration and the digests too: whoever has nothing else
//! of the release can still prove it. The tests run it that way.

use std::fmt::Write;

use flowlake_partition::manifest::{Configuration, ConfigurationFile, Manifest, Privacy, Treatment};

use crate::facts::Facts;
use crate::terms::line;

/// More data files are not listed: their digests are in `SHA256SUMS`, and the digest of all rows is here.
const MOST_FILES: usize = 1000;

/// The page.
#[must_use]
pub fn rebuild(facts: &Facts<'_>) -> String {
    let Facts { manifest, release, .. } = facts;
    let (option, set, check) = match needs_key(release.privacy.as_ref()) {
        true => (
            " --key-file KEY",
            ", `KEY` to the file with the key",
            ": \"${KEY:?set it to the file with the key}\"\n",
        ),
        false => ("", "", ""),
    };
    let withheld = withheld(manifest);
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "# Rebuild {} {}\n\n\
         This release was built by flowlake {} and released by flowlake {}. The same dumps, the same configuration and \
         the same version give the same bytes, on any machine. A later version may encode the rows otherwise; the digest of \
         all rows is the same then, too.\n\n\
         Shorter, with the release at hand: `flowlake verify RELEASE --rebuild-from DUMPS{option}{withheld}` does all of \
         this.\n\n\
         The blocks below are a shell script. Set `DUMPS` to the directory of the dumps{set} and run them in an empty \
         directory; a block that fails says what is not the same.\n\n\
         ```sh\nset -eu\n: \"${{DUMPS:?set it to the directory of the dumps}}\"\n{check}```",
        line(&manifest.dataset.title),
        line(&release.version),
        line(&manifest.tool.version),
        line(&release.tool.version),
    );
    dumps(&mut page, manifest);
    configuration(&mut page, manifest);
    build(&mut page, facts);
    compare(&mut page, manifest);
    page
}

/// Options for what the release does not hold.
fn withheld(manifest: &Manifest) -> String {
    let Some(Configuration { catalogue, recipe }) = &manifest.configuration else { return String::new() };
    let options = [(" --config catalogue.toml", catalogue), (" --recipe recipe.toml", recipe)];
    options.into_iter().filter(|(_, file)| file.text.is_none()).map(|(option, _)| option).collect()
}

fn dumps(page: &mut String, manifest: &Manifest) {
    let _ = write!(
        page,
        "\n## 1. The dumps\n\n\
         {} dumps, {} bytes. The directory has to hold these files and no other dumps.\n\n\
         ```sh\ncat > dumps.sha256 <<'END-OF-DUMPS'\n",
        manifest.totals.dumps, manifest.totals.input_bytes
    );
    for part in manifest.sources.iter().flat_map(|source| &source.parts) {
        let _ = writeln!(page, "{}", sum_line(&part.sha256, &part.name));
    }
    page.push_str("END-OF-DUMPS\nhere=$PWD\n(cd \"$DUMPS\" && sha256sum -c \"$here/dumps.sha256\")\n```\n");
}

/// A line that `sha256sum -c` reads, whatever the name.
fn sum_line(sha256: &str, name: &str) -> String {
    if name.contains(['\\', '\n', '\r']) {
        let name = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        format!("\\{sha256}  {name}")
    } else {
        format!("{sha256}  {name}")
    }
}

fn configuration(page: &mut String, manifest: &Manifest) {
    let Some(configuration) = &manifest.configuration else { return };
    let (dataset, recipe) = (&manifest.dataset.name, &manifest.recipe.name);
    let _ = write!(
        page,
        "\n## 2. The configuration\n\n\
         The catalogue of devices and the recipe, as they were.{}\n",
        match (&configuration.catalogue.text, &configuration.recipe.text) {
            (Some(_), Some(_)) => format!(
                " In the release they are `config/{dataset}.toml` and `config/recipes/{recipe}.toml`."
            ),
            (Some(_), None) => format!(" In the release the first is `config/{dataset}.toml`."),
            (None, Some(_)) => format!(" In the release the second is `config/recipes/{recipe}.toml`."),
            (None, None) => String::new(),
        }
    );
    for (what, name, file) in [
        ("catalogue", "catalogue.toml", &configuration.catalogue),
        ("recipe", "recipe.toml", &configuration.recipe),
    ] {
        let ConfigurationFile { sha256, text } = file;
        let mut fence = "```".to_owned();
        match text {
            Some(text) => {
                // A fence that the text cannot end.
                fence = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
                let _ = write!(page, "\n{fence}sh\n{}", written(name, text));
            }
            None => {
                let _ = write!(
                    page,
                    "\nThe {what} is not part of this release, because it names addresses that the release hides. Whoever made \
                     the release has it: put it here as `{name}`.\n\n{fence}sh\n"
                );
            }
        }
        match sha256 {
            Some(sha256) => {
                let _ = writeln!(page, "echo '{sha256}  {name}' | sha256sum -c\n{fence}");
            }
            // Whether it is the right one shows at the end.
            None => {
                let _ = writeln!(page, "test -f {name}\n{fence}");
            }
        }
    }
}

/// Commands that write a file with exactly these bytes.
fn written(name: &str, text: &str) -> String {
    let mut end = "END-OF-FILE".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('-');
    }
    match text.strip_suffix('\n') {
        Some(text) => format!("cat > {name} <<'{end}'\n{text}\n{end}\n"),
        // The shell takes away the line end that a here-document has to end with.
        None => format!("printf '%s' \"$(cat <<'{end}'\n{text}\n{end}\n)\" > {name}\n"),
    }
}

fn build(page: &mut String, facts: &Facts<'_>) {
    let Facts { manifest, release, .. } = facts;
    let mut build =
        "flowlake build --config catalogue.toml --recipe recipe.toml --input \"$DUMPS\"".to_owned();
    if let Some(selection) = &manifest.selection {
        let devices = selection.devices.iter().map(|device| ("--device", device));
        let classes = selection.classes.iter().map(|class| ("--class", class));
        let from = selection.from.iter().map(|from| ("--from", from));
        let to = selection.to.iter().map(|to| ("--to", to));
        for (option, value) in devices.chain(classes).chain(from).chain(to) {
            let _ = write!(build, " {option} {}", quoted(value));
        }
    }
    let mut command = format!("flowlake release lake --version {}", quoted(&release.version));
    if let Some(date) = &release.date {
        let _ = write!(command, " --date {}", quoted(date));
    }
    if !release.redistribution {
        command.push_str(" --acknowledge-licence");
    }
    if let Some(privacy) = &release.privacy {
        for option in privacy_options(privacy) {
            let _ = write!(command, " {}", quoted(&option));
        }
        if needs_key(Some(privacy)) {
            command.push_str(" --key-file \"$KEY\"");
        }
    }
    let _ = write!(
        page,
        "\n## 3. Build and release\n\n\
         With flowlake {}: `flowlake --version` says which one is there.\n\n\
         ```sh\n{build} --output lake\n{command} --output rebuilt\n```\n",
        line(&manifest.tool.version),
    );
}

/// The options of `flowlake release` that ask for this.
#[must_use]
pub fn privacy_options(privacy: &Privacy) -> Vec<String> {
    let treatments = [("--mac", privacy.mac), ("--ip", privacy.ip)];
    let treatments = treatments
        .into_iter()
        .filter_map(|(option, treatment)| Some([option.to_owned(), treatment_option(treatment?).to_owned()]));
    let drop = privacy.drop.iter().map(|column| ["--drop".to_owned(), column.clone()]);
    treatments.chain(drop).flatten().collect()
}

/// What a treatment is called on the command line.
fn treatment_option(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Dropped => "drop",
        Treatment::HmacSha256 => "hmac",
        Treatment::IpcryptPfx => "ipcrypt-pfx",
    }
}

fn needs_key(privacy: Option<&Privacy>) -> bool {
    privacy.is_some_and(|privacy| privacy.key_check.is_some())
}

fn compare(page: &mut String, manifest: &Manifest) {
    let digest = manifest
        .totals
        .content_digest
        .clone()
        .unwrap_or_else(|| flowlake_partition::manifest::Totals::content_digest_of(&manifest.files));
    let _ = write!(
        page,
        "\n## 4. Compare\n\n\
         The same rows, in whatever encoding:\n\n\
         ```sh\ngrep -q '\"contentDigest\": \"{digest}\"' rebuilt/manifest.json\n```\n"
    );
    if (1..=MOST_FILES).contains(&manifest.files.len()) {
        page.push_str("\nThe same data files, byte for byte:\n\n```sh\ncat > data.sha256 <<'END-OF-DATA'\n");
        for file in &manifest.files {
            let _ = writeln!(page, "{}  {}", file.sha256, file.path);
        }
        page.push_str("END-OF-DATA\n(cd rebuilt && sha256sum -c --quiet ../data.sha256)\n```\n");
    }
    page.push_str(
        "\nAnd with the release at hand, every file of it:\n\n\
         ```console\n$ (cd rebuilt && sha256sum -c RELEASE/SHA256SUMS)\n$ flowlake diff RELEASE rebuilt\n```\n",
    );
}

/// A word of a shell command.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
