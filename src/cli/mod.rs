//! The command line: one file a command. Each asks one op and prints its answer for a person, or as `--json`.

mod audit;
mod completions;
mod config;
mod console;
mod debts;
#[cfg(feature = "simulation")]
mod demo;
mod doctor;
mod evidence;
mod external;
mod find;
mod forward;
mod keys;
mod ledger;
mod length;
mod out;
mod reveal;
mod rotate;
mod seat;
mod sign_in;
mod sign_out;
#[cfg(feature = "simulation")]
mod simulation;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    config::{ConfigError, Overrides, Settings, logging, settings::Theme},
    domain::work::{Failure, Kind},
    runtime,
};

/// Below the program's own help and in the manual page.
const AFTER: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 refused by policy or permission, or a sign-in is needed, 4 not found.

KEYDESK_LOG=keydesk=debug writes a log into the state folder, which `keydesk config path` names. There is none otherwise.";

/// The console for BitLocker recovery calls: find the key, disclose it on the record, see it replaced.
///
/// Without a command it opens the console. `keydesk demo` opens it on a simulated tenant.
#[derive(Debug, Parser)]
#[command(name = "keydesk", bin_name = "keydesk", version, max_term_width = 100, after_long_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where to connect and how to look. Each wins over the configuration file.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Settings")]
struct Global {
    /// One folder for all of keydesk's files
    #[arg(long, env = "KEYDESK_HOME", value_name = "FOLDER", global = true)]
    home: Option<PathBuf>,
    /// Which tenant of the configuration file's
    #[arg(long, env = "KEYDESK_PROFILE", value_name = "NAME", global = true)]
    profile: Option<String>,
    /// Where to sign in
    #[arg(long, env = "KEYDESK_AUTHORITY", value_name = "URL", global = true)]
    authority: Option<String>,
    /// Where Microsoft Graph is
    #[arg(long, env = "KEYDESK_GRAPH", value_name = "URL", global = true)]
    graph: Option<String>,
    /// Tenant id or domain
    #[arg(long, env = "KEYDESK_TENANT", value_name = "TENANT", global = true)]
    tenant: Option<String>,
    /// Client id of keydesk's app registration
    #[arg(long, env = "KEYDESK_CLIENT_ID", value_name = "ID", global = true)]
    client_id: Option<String>,
    /// Colours; `NO_COLOR` means mono
    #[arg(long, value_enum, global = true)]
    theme: Option<Theme>,
    /// ASCII instead of drawn glyphs
    #[arg(long, global = true)]
    ascii: bool,
    /// Never ask for a sign-in: exit with 3 instead
    #[arg(long, global = true)]
    no_input: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the console on a simulated tenant that continues where it was left
    #[cfg(feature = "simulation")]
    Demo(demo::Demo),
    /// Sign in, by device code or by browser, and say who signed in
    SignIn(sign_in::SignIn),
    /// Remove the session and the list of keys from this machine
    SignOut(sign_out::SignOut),
    /// Find keys and devices: by what a caller reads, a device name, a serial or a user
    Find(find::Find),
    /// List a device's keys, newest first
    Keys(keys::Keys),
    /// Disclose one recovery password, on the record
    Reveal(reveal::Reveal),
    /// Record a key that was read elsewhere: in Active Directory, MBAM, on paper or in a portal
    ///
    /// It is owed a replacement like any other. With --entra-device that goes out remotely; without, a person replaces the key at the laptop
    /// and confirms it. It counts against no limit: Entra gave nothing out.
    External(external::External),
    /// Have Intune replace a device's keys
    Rotate(rotate::Rotate),
    /// What is owed: list it, show how it came, act on it, follow it
    Debts(debts::Debts),
    /// Print the ledger of this machine, check its chain, export it
    Ledger(ledger::Ledger),
    /// Hold the ledger against Entra's own record of key reads
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Send the ledger's rows to the security team's collectors, where the policy names some
    Forward(forward::Forward),
    /// Write an evidence pack: who read which key, when and why, and that it was replaced
    ///
    /// One zip with a page for a person, the same as JSON, and a script that checks it; no digit of a key is in it. Works signed out
    /// and offline. The making is recorded in the ledger. docs/evidence.md says what is in it and what it proves.
    Evidence(evidence::Evidence),
    /// Check what a call depends on: what to fix, and who can
    ///
    /// Signs nobody in, reads no key and changes nothing that stays. The exit code is 0 where nothing is to be fixed, and 1 where something
    /// is. docs/doctor.md says what each line means.
    Doctor(doctor::Doctor),
    /// Print a configuration file to start from, where the files are, or the policy in force
    Config(config::Config),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Print the manual page
    #[command(hide = true)]
    Man,
    /// Run the simulated tenant alone
    #[cfg(feature = "simulation")]
    #[command(subcommand)]
    Simulation(simulation::Simulation),
}

/// Parses, runs, prints the failure: 0 done, 1 failed, 2 usage, 3 refused by policy or permission, 4 not found.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    runtime::refuse_core_dumps();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out::failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Some(Command::Completions(command)) => return command.run(Cli::command()),
        Some(Command::Man) => return completions::man(Cli::command()),
        #[cfg(feature = "simulation")]
        Some(Command::Simulation(command)) => return block_on(command.run()),
        Some(Command::Config(command)) => return command.run(&global.overrides()),
        // Before the settings are loaded: it also says what is wrong with them.
        Some(Command::Doctor(command)) => return block_on(command.run(&global.overrides())),
        // Reads a file, and nothing else that may be wrong here.
        Some(Command::Ledger(command)) if command.only_reads() => return command.read(&global.overrides()),
        _ => {}
    }
    #[cfg(feature = "simulation")]
    let is_demo = matches!(command, Some(Command::Demo(_)));
    #[cfg(not(feature = "simulation"))]
    let is_demo = false;
    let load = if is_demo { Settings::for_demo } else { Settings::load };
    let settings = load(&global.overrides()).map_err(misconfigured)?;
    let filter = std::env::var("KEYDESK_LOG").ok();
    // The console says on its own screen what keeps it from its files.
    if command.is_some() || filter.is_some() {
        settings.paths.create().map_err(misconfigured)?;
    }
    let _log = logging::start(&settings.paths.log(), filter.as_deref()).map_err(misconfigured)?;
    // The console and `forward` send what waits themselves.
    let rest =
        command.as_ref().is_some_and(|command| !matches!(command, Command::Forward(_))).then(|| settings.clone());
    block_on(async {
        let result = match command {
            None => Box::pin(console::run(settings, &global.overrides())).await,
            #[cfg(feature = "simulation")]
            Some(Command::Demo(command)) => Box::pin(command.run(settings)).await,
            Some(Command::SignIn(command)) => command.run(&settings, global.no_input).await,
            Some(Command::SignOut(command)) => command.run(&settings).await,
            Some(Command::Find(command)) => command.run(&settings, global.no_input).await,
            Some(Command::Keys(command)) => command.run(&settings, global.no_input).await,
            Some(Command::Reveal(command)) => command.run(&settings, global.no_input).await,
            Some(Command::External(command)) => command.run(&settings, global.no_input).await,
            Some(Command::Rotate(command)) => command.run(&settings, global.no_input).await,
            Some(Command::Debts(command)) => command.run(&settings, global.no_input).await,
            Some(Command::Ledger(command)) => command.run(&settings).await,
            Some(Command::Audit(command)) => command.run(&settings, global.no_input).await,
            Some(Command::Forward(command)) => command.run(&settings).await,
            Some(Command::Evidence(command)) => command.run(&settings).await,
            Some(Command::Config(_) | Command::Doctor(_) | Command::Completions(_) | Command::Man) => Ok(()),
            #[cfg(feature = "simulation")]
            Some(Command::Simulation(_)) => Ok(()),
        };
        if let Some(settings) = rest {
            forward::rest(&settings).await;
        }
        result
    })
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Kind::Failed, format!("The program cannot start its threads: {e}.")))?;
    let result = runtime.block_on(work);
    // Reads that nobody waits for any more do not delay the end.
    runtime.shutdown_background();
    result
}

fn misconfigured(error: ConfigError) -> Failure {
    error.into()
}

impl Global {
    fn overrides(&self) -> Overrides {
        Overrides {
            home: self.home.clone(),
            profile: self.profile.clone(),
            authority: self.authority.clone(),
            graph: self.graph.clone(),
            tenant: self.tenant.clone(),
            client_id: self.client_id.clone(),
            theme: self.theme,
            ascii: self.ascii,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
