//! Conversations, letter by letter.

use flamingo_data::PretrainedTokenizer;

use super::*;
use crate::dialect::Style;
use crate::prompt::{Part, Source};

/// A model with a token for the end of a chunk, or without.
fn dialect(eoc: Option<u32>) -> Dialect {
    Dialect::of_ids(Style::Paper, Some(1), eoc)
}

fn pictures(count: usize) -> Vec<Medium> {
    vec![Medium::Image(Source::File("cat.png".into())); count]
}

/// A prompt with `▣` for an image and `▪` for the end of a chunk.
fn written(conversation: &Conversation, eoc: Option<u32>) -> String {
    let Prompt::Parts(parts) = conversation.prompt(&dialect(eoc)) else { unreachable!() };
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Medium(_) => "▣".to_owned(),
        Part::EndOfChunk => "▪".to_owned(),
    };
    parts.iter().map(text).collect()
}

/// Two images and no words, then a question that is yet to be answered.
fn conversation(wording: Wording) -> Conversation {
    let mut conversation = Conversation::new(wording);
    conversation.say("", pictures(2));
    conversation.answer(" two cats ");
    conversation.say("And now?", Vec::new());
    conversation
}

#[test]
fn pages_have_no_speakers() {
    assert_eq!(written(&conversation(Wording::Pages), Some(2)), "▣▣ two cats ▪And now?");
    assert_eq!(conversation(Wording::Pages).stop_strings(), [""; 0]);
}

#[test]
fn a_dialogue_is_introduced() {
    let conversation = conversation(Wording::Dialogue);
    let lines = "User:▣▣\nAssistant: two cats▪\nUser: And now?\nAssistant:";
    assert_eq!(written(&conversation, Some(2)), format!("{}\n\n{lines}", Wording::Dialogue.preamble()));
    assert_eq!(written(&conversation.clone().with_preamble(""), Some(2)), lines);
    assert_eq!(written(&conversation.with_preamble("Hello."), Some(2)), format!("Hello.\n\n{lines}"));
}

#[test]
fn idefics_ends_utterances_if_it_can() {
    let conversation = conversation(Wording::Idefics);
    let instructed = "User:▣▣▪\nAssistant: two cats▪\nUser: And now?▪\nAssistant:";
    assert_eq!(written(&conversation, Some(2)), instructed);
    assert_eq!(written(&conversation, None), instructed.replace('▪', ""));
    assert_eq!(conversation.stop_strings(), ["\nUser:"]);
}

#[test]
fn chat_ml_has_a_message_for_the_system() {
    let mut conversation = Conversation::new(Wording::ChatMl).with_preamble("Be brief.");
    conversation.say("Hello", Vec::new());
    conversation.answer("Hi.\n");
    conversation.say("Bye", Vec::new());
    let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n\
                    <|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(written(&conversation, None), expected);
}

#[test]
fn a_text_goes_on() {
    let mut conversation = Conversation::new(Wording::Text);
    conversation.say("The capital of France is", Vec::new());
    conversation.answer(" Paris.");
    conversation.say("And of Spain,", Vec::new());
    assert_eq!(written(&conversation, None), "The capital of France is Paris.\nAnd of Spain,");
}

#[test]
fn what_is_taken_back_was_never_said() {
    for wording in [Wording::Pages, Wording::Dialogue, Wording::Idefics, Wording::ChatMl, Wording::Text] {
        let mut conversation = conversation(wording);
        let before = written(&conversation, Some(2));
        conversation.answer("nothing");
        conversation.say("More?", pictures(1));
        assert!(written(&conversation, Some(2)).starts_with(before.trim_end()));
        let turn = conversation.undo().unwrap();
        assert_eq!((turn.text.as_str(), turn.media.len(), turn.answer), ("More?", 1, None));
        conversation.undo();
        conversation.say("And now?", Vec::new());
        assert_eq!(written(&conversation, Some(2)), before);

        conversation.reset();
        assert!(conversation.turns().is_empty() && conversation.undo().is_none());
        conversation.answer("to nobody");
        assert!(conversation.turns().is_empty());
    }
}

#[test]
fn each_family_has_its_wording() {
    for (style, wording) in [
        (Style::Paper, Wording::Pages),
        (Style::OpenFlamingo, Wording::Dialogue),
        (Style::Idefics, Wording::Idefics),
        (Style::Text, Wording::Text),
    ] {
        assert_eq!(Wording::of(&Dialect::of_ids(style, None, None)), wording);
    }
}

#[test]
fn chat_ml_is_told_by_what_ends_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, contents: &str| std::fs::write(folder.path().join(file), contents).unwrap();
    let words = r#"{"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}"#;
    let model = format!(r#"{{"type": "WordLevel", "vocab": {words}, "unk_token": "<|endoftext|>"}}"#);
    write("tokenizer.json", &format!(r#"{{"version": "1.0", "added_tokens": [], "model": {model}}}"#));
    let wording = |eos: &str, other_ends: &[u32]| {
        write("tokenizer_config.json", &format!(r#"{{"eos_token": "{eos}"}}"#));
        let tokenizer = PretrainedTokenizer::open(folder.path()).unwrap();
        Wording::of(&Dialect::text(tokenizer, other_ends))
    };
    assert_eq!(wording("<|im_end|>", &[]), Wording::ChatMl);
    assert_eq!(wording("<|endoftext|>", &[2]), Wording::ChatMl);
    // The vocabulary of a model that was never trained on conversations may have the tokens, too.
    assert_eq!(wording("<|endoftext|>", &[]), Wording::Text);
}
