//! `flamingo chat`: a conversation with a model.
//!
//! Standard output has the answers and nothing else. In a terminal, lines can be edited and Ctrl-C stops an answer;
//! through a pipe, each line is a message or a command, and the first error decides the exit code at the end.

mod command;
mod input;
mod interrupt;
mod printer;
mod session;

use std::io::{IsTerminal, stdin};

use flamingo::{Conversation, Wording};

use super::decoding::DecodingArgs;
use super::device::DeviceArg;
use super::model::ModelArgs;
use command::{COMMANDS, Command};
use input::{Input, Read};
use interrupt::Interrupt;
use session::Session;

use crate::exit;

/// Talk with a model, with images and clips at any turn
///
/// Each line is a message; /help lists the commands. A message may consist of images alone: attach them by /image PATH
/// and send an empty line. Through a pipe each line is a message or a command, and only answers are printed.
///
/// The wording follows the model's family: User and Assistant for OpenFlamingo and IDEFICS, ChatML for language models
/// that know it. Models trained here have seen captions and pages and no conversations: they caption images that are
/// sent alone (earlier captions serve as examples) and go on from any text. --dialogue lets them speak as Assistant, too.
#[derive(Debug, clap::Args)]
#[command(mut_arg("max_new_tokens", |arg| arg.default_value("256")))]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Said before the first message, in place of the model family's own words: who speaks, and how
    #[arg(long, value_name = "TEXT")]
    preamble: Option<String>,
    /// Write User and Assistant before each message, and introduce them, whatever the model
    #[arg(long)]
    dialogue: bool,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    device: DeviceArg,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let engine = args.decoding.engine(args.model.open(&args.device.resolve()?)?);
    let options = args.decoding.options(engine.pretrained())?;
    let wording = if args.dialogue { Wording::Dialogue } else { Wording::of(&engine.pretrained().dialect) };
    let mut conversation = Conversation::new(wording);
    if let Some(preamble) = &args.preamble {
        conversation = conversation.with_preamble(preamble);
    }
    let mut session = Session::new(engine, conversation, options);
    match stdin().is_terminal() {
        true => in_terminal(&mut session),
        false => through_pipe(&mut session),
    }
}

/// Errors are told, and the conversation goes on.
fn in_terminal(session: &mut Session) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut input = Input::terminal()?;
    eprintln!("{}", greeting(session.wording()));
    let mut warned = false;
    loop {
        let line = match input.read(&session.prompt())? {
            Read::Line(line) => line,
            Read::Interrupted if !warned => {
                eprintln!("(Ctrl-C once more, Ctrl-D or /quit ends the conversation)");
                warned = true;
                continue;
            }
            Read::Interrupted | Read::End => return Ok(()),
        };
        warned = false;
        match obey(session, &line, &interrupt) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => eprintln!("error: {}", exit::message(&error)),
        }
    }
}

/// Errors are told when they come, and the first decides the exit code.
fn through_pipe(session: &mut Session) -> anyhow::Result<()> {
    let interrupt = Interrupt::default();
    let mut input = Input::pipe();
    let mut first_error = None;
    loop {
        let (line, ends) = match input.read("")? {
            Read::Line(line) => (line, false),
            // Images with nothing behind them are a message.
            Read::Interrupted | Read::End => (String::new(), true),
        };
        match obey(session, &line, &interrupt) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                eprintln!("error: {}", exit::message(&error));
                first_error.get_or_insert(error);
            }
        }
        if ends {
            break;
        }
    }
    first_error.map_or(Ok(()), |error| {
        Err(error.context("not all lines could be followed; the first that could not"))
    })
}

/// Does what a line says; false if that is to end.
fn obey(session: &mut Session, line: &str, interrupt: &Interrupt) -> anyhow::Result<bool> {
    match Command::parse(line)? {
        Command::Say(text) => session.say(text, interrupt)?,
        Command::Image(path) => session.attach(&command::path(path), false)?,
        Command::Video(path) => session.attach(&command::path(path), true)?,
        Command::Undo => session.undo(),
        Command::Reset => session.reset(),
        Command::Help => eprintln!("{COMMANDS}"),
        Command::Quit => return Ok(false),
    }
    Ok(true)
}

fn greeting(wording: Wording) -> &'static str {
    match wording {
        Wording::Pages => {
            "This model was trained on captions and pages: attach an image by /image PATH and send an empty line for a \
             caption,\nor write the beginning of a text. /help lists the commands."
        }
        Wording::Text => {
            "This language model knows no conversations: it goes on from what you write. /help lists the commands."
        }
        Wording::ChatMl => "This language model reads text alone. /help lists the commands.",
        Wording::Dialogue | Wording::Idefics => "Write a message. /help lists the commands.",
    }
}
