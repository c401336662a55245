//! Windows writes owner and access list of a file as one line of text. What it says is judged here, on every system, so that every
//! system tests it. Source: "Security Descriptor Definition Language" and "ACE Strings".

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

/// Who may write a policy: SYSTEM, the Administrators, `TrustedInstaller`; and the owner's own rights, since the owner is one of those.
const TRUSTED: [&str; 7] = [
    "SY",
    "BA",
    "OW",
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-3-4",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];

/// Rights as they are written, with what they are.
const RIGHTS: [(&str, u32); 24] = [
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
    ("RC", 0x0002_0000),
    ("SD", DELETE),
    ("WD", WRITE_DAC),
    ("WO", WRITE_OWNER),
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("CC", 0x1),
    ("DC", 0x2),
    ("LC", 0x4),
    ("SW", 0x8),
    ("RP", 0x10),
    ("WP", 0x20),
    ("DT", 0x40),
    ("LO", 0x80),
    ("CR", 0x100),
    ("KA", 0x000f_003f),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
];

const DELETE: u32 = 0x1_0000;
const WRITE_DAC: u32 = 0x4_0000;
const WRITE_OWNER: u32 = 0x8_0000;
const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
/// Data, appended data, extended attributes, attributes.
const WRITE_FILE: u32 = 0x2 | 0x4 | 0x10 | 0x100;
const DELETE_CHILD: u32 = 0x40;

impl Kind {
    /// What lets its holder put other words in a file's place. That somebody may add files to a folder does not.
    fn dangerous(self) -> u32 {
        let both = DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;
        match self {
            Self::File => both | WRITE_FILE | GENERIC_WRITE,
            Self::Folder => both | DELETE_CHILD,
        }
    }
}

/// What is wrong with a file or folder whose descriptor is `sddl`, with owner and access list in it. What cannot be understood is wrong.
pub(super) fn judge(sddl: &str, kind: Kind) -> Result<(), String> {
    let odd = || format!("has an access list that cannot be understood ({sddl})");
    let (owner, list) = sddl.strip_prefix("O:").and_then(|rest| rest.split_once("D:")).ok_or_else(odd)?;
    let owner = owner.split_once("G:").map_or(owner, |(owner, _)| owner);
    if !TRUSTED.contains(&owner) {
        return Err(format!("belongs to {owner} and not to SYSTEM or the Administrators"));
    }
    let list = list.split_once("S:(").map_or(list, |(list, _)| list);
    let (flags, entries) = list.find('(').map_or((list, ""), |at| list.split_at(at));
    if flags.contains("NO_ACCESS_CONTROL") {
        return Err("has no access list, so that everybody can write it".into());
    }
    for entry in entries.split_terminator(')') {
        let entry = entry.strip_prefix('(').ok_or_else(odd)?;
        let fields: Vec<&str> = entry.splitn(7, ';').collect();
        let [kind_of_entry, inheritance, rights, _, _, who, ..] = fields[..] else { return Err(odd()) };
        // Denials take nothing from what is allowed elsewhere as far as this goes: the stricter reading.
        let concerns_this = !kind_of_entry.contains('D') && !inherits_only(inheritance);
        if concerns_this && !TRUSTED.contains(&who) && rights_of(rights).ok_or_else(odd)? & kind.dangerous() != 0 {
            return Err(format!("can be written or replaced by {who} ({rights})"));
        }
    }
    Ok(())
}

/// Flags are pairs of letters; IO concerns only what will be made below.
fn inherits_only(flags: &str) -> bool {
    flags.as_bytes().chunks(2).any(|flag| flag == b"IO")
}

/// `FA`, `FRFX` or `0x1200a9`.
fn rights_of(text: &str) -> Option<u32> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok();
    }
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pair = |at: usize| text.get(at..at + 2);
    (0..text.len()).step_by(2).try_fold(0, |rights, at| {
        let (_, right) = RIGHTS.iter().find(|(name, _)| Some(*name) == pair(at))?;
        Some(rights | right)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Windows 11's own: the system drive, `ProgramData`, and what SYSTEM makes there.
    const DRIVE: &str = "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464D:PAI(A;OICI;FA;;;SY)\
                         (A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;SDGXGWGR;;;AU)(A;;LC;;;AU)";
    const PROGRAM_DATA: &str = "O:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)\
                                (A;CI;DCLCRPCR;;;BU)";
    const MADE_BY_SYSTEM: &str = "O:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)\
                                  (A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)";
    const FILE_OF_SYSTEM: &str = "O:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)";
    const DOCUMENTED: &str = "O:BAD:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;BU)";

    #[rstest]
    #[case::the_drive(DRIVE, Kind::Folder)]
    #[case::program_data(PROGRAM_DATA, Kind::Folder)]
    #[case::a_folder_made_by_system(MADE_BY_SYSTEM, Kind::Folder)]
    #[case::a_file_made_by_system(FILE_OF_SYSTEM, Kind::File)]
    #[case::as_the_documentation_lays_it_down(DOCUMENTED, Kind::File)]
    #[case::owner_rights("O:BAG:SYD:(A;;FA;;;OW)(A;;FR;;;WD)", Kind::File)]
    #[case::a_denial("O:BAD:(D;;FA;;;WD)(A;;FR;;;BU)S:(AU;SA;FA;;;WD)", Kind::File)]
    fn what_only_administrators_can_write_is_believed(#[case] sddl: &str, #[case] kind: Kind) {
        assert_eq!(judge(sddl, kind), Ok(()));
    }

    #[rstest]
    #[case::made_by_a_user("O:S-1-5-21-1-2-3-1001D:AI(A;ID;FA;;;SY)", Kind::File, "belongs to S-1-5-21-1-2-3-1001")]
    #[case::a_domain_admin("O:DAD:AI(A;ID;FA;;;SY)", Kind::File, "belongs to DA")]
    #[case::users_modify("O:BAD:(A;;0x1301bf;;;BU)", Kind::File, "replaced by BU")]
    #[case::everybody_appends("O:BAD:(A;;LC;;;WD)", Kind::File, "replaced by WD")]
    #[case::generic("O:BAD:(A;;GRGW;;;AU)", Kind::File, "replaced by AU")]
    #[case::a_condition("O:BAD:(XA;;FA;;;WD;(@User.x==1))", Kind::File, "replaced by WD")]
    #[case::an_heir_denied_elsewhere("O:BAD:(D;;FA;;;WD)(A;;FW;;;WD)", Kind::File, "replaced by WD")]
    #[case::the_list_can_be_changed("O:BAD:(A;;WD;;;S-1-5-21-1-2-3-1001)", Kind::Folder, "S-1-5-21-1-2-3-1001")]
    #[case::files_can_be_removed("O:BAD:(A;;DT;;;BU)", Kind::Folder, "replaced by BU")]
    #[case::the_folder_can_be_renamed("O:BAD:(A;;SD;;;BU)", Kind::Folder, "replaced by BU")]
    #[case::no_list("O:BAD:NO_ACCESS_CONTROL", Kind::File, "everybody")]
    #[case::no_list_told("O:BA", Kind::File, "cannot be understood")]
    #[case::unknown_rights("O:BAD:(A;;ZZ;;;BU)", Kind::File, "cannot be understood")]
    #[case::half_an_entry("O:BAD:(A;;FR", Kind::File, "cannot be understood")]
    #[case::nothing("", Kind::File, "cannot be understood")]
    fn what_others_can_write_is_not(#[case] sddl: &str, #[case] kind: Kind, #[case] said: &str) {
        let found = judge(sddl, kind).unwrap_err();
        assert!(found.contains(said), "{found}");
    }
}
