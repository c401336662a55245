//! The real program as an ordinary user, on a machine whose policy was laid down badly: it works for nobody, names what is wrong and what
//! mends it, and ends with 3. Needs root, to lay down files and to give them a namespace in which `/etc` is the test's own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

use rstest::rstest;

/// `nobody`, who owns nothing here.
const NOBODY: &str = "--reuid=65534 --regid=65534 --clear-groups";

/// What `keydesk debts` says where `lay` (a shell's words, as root, with an empty `/etc`) has laid down a policy.
fn asked(lay: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::copy(env!("CARGO_BIN_EXE_keydesk"), path.join("keydesk")).unwrap();
    for (home, mode) in [(path, 0o755), (&path.join("home"), 0o777)] {
        fs::create_dir_all(home).unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(mode)).unwrap();
    }
    let script = format!(
        "set -e; mount -t tmpfs -o mode=755 none /etc; umask 022; mkdir /etc/keydesk; cd /etc/keydesk; {lay}; cd {here}; \
         exec setpriv {NOBODY} env -i HOME={here}/home KEYDESK_HOME={here}/home {here}/keydesk debts",
        here = path.display()
    );
    Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap()
}

#[rstest]
#[case::for_everybody_to_write(
    "echo > policy.toml; chmod 666 policy.toml",
    "policy.toml can be written by everybody",
    "sudo chmod go-w"
)]
#[case::a_folder_to_write_in(
    "echo > policy.toml; chmod 777 .",
    "/etc/keydesk can be written by everybody",
    "sudo chmod go-w"
)]
#[case::a_users_own("echo > policy.toml; chown 65534 policy.toml", "belongs to the user 65534", "sudo chown -h root")]
#[case::in_a_users_folder(
    "echo > policy.toml; chown 65534 .",
    "/etc/keydesk belongs to the user 65534",
    "sudo chown -h root"
)]
#[case::nobody_may_read_it(
    "echo > policy.toml; chmod 600 policy.toml",
    "cannot be read by this account",
    "sudo chmod go+rX"
)]
#[case::a_folder_nobody_may_open("echo > policy.toml; chmod 700 .", "/etc/keydesk cannot be read", "sudo chmod go+rX")]
#[case::a_link_to_nowhere(
    "ln -s nowhere policy.toml",
    "is a link to /etc/keydesk/nowhere, which is not there",
    "in the place of the link"
)]
#[case::a_folder("mkdir policy.toml", "is a folder, and no file", "put the file")]
#[case::a_pipe("mkfifo policy.toml", "is no file", "sudo rm")]
#[case::in_utf_16(r"printf '\377\376[\0l\0' > policy.toml", "is not written in UTF-8", "save it as UTF-8")]
#[case::too_long("head -c 2000000 /dev/zero > policy.toml", "more than a policy", "lay the policy down anew")]
#[case::with_a_mistake(r"printf '[limits]\nper_huor = 1\n' > policy.toml", "line 2", "correct that line")]
#[ignore = "needs root and a mount namespace"]
fn a_policy_laid_down_badly_stops_everything(#[case] lay: &str, #[case] wrong: &str, #[case] mend: &str) {
    let output = asked(lay);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(wrong) && said.contains(mend) && said.contains("/etc/keydesk"), "{said}");
}

#[rstest]
#[case::none("true")]
#[case::an_empty_one("true > policy.toml")]
#[case::as_windows_writes_it(r"printf '\357\273\277[limits]\r\nper_hour = 1\r\n' > policy.toml")]
#[ignore = "needs root and a mount namespace"]
fn a_policy_laid_down_well_stops_nobody(#[case] lay: &str) {
    let output = asked(lay);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
