//! Signing without a key in sight: [`Signer`], and what [`StreamChat`] makes with one.

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use alive_core::backend::{Cause, SignatureError};

use crate::{
    fields::{FieldValue, MessageError, SignatureText},
    message::Message,
    moment::Moment,
    networks::Account,
    request::AccessRequest,
    stream_chat::StreamChat,
};

/// Signs texts for accounts, such as a wallet in the browser: the text goes out, a signature comes back.
///
/// Hive Keychain's `requestSignBuffer(account, text, "Posting")` does what is asked here: it signs SHA-256 of the UTF-8
/// text. Source: `spec/alivedb.md`, section 8.2.
pub trait Signer: Debug + Send + Sync {
    /// Signs the text with a key of the account. The text is exactly what is hashed: a wallet can show it.
    ///
    /// # Errors
    /// The person said no, or the wallet cannot be reached.
    fn sign(
        &self,
        account: &Account,
        text: &str,
    ) -> impl Future<Output = Result<SignatureText, SignerError>> + Send;
}

/// Why a [`Signer`] did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// It will not sign this: the person said no, or it has no key of the account.
    #[error("the wallet refused to sign")]
    Refused(#[source] Cause),
    /// It cannot be reached; trying again may help.
    #[error("the wallet is unavailable")]
    Unavailable(#[source] Cause),
}

/// Any [`Signer`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedSigner(Arc<dyn Erased>);

impl SharedSigner {
    /// Wraps a wallet chosen at run time.
    pub fn new(signer: impl Signer + 'static) -> Self {
        Self(Arc::new(signer))
    }
}

impl Signer for SharedSigner {
    async fn sign(&self, account: &Account, text: &str) -> Result<SignatureText, SignerError> {
        self.0.sign_boxed(account, text).await
    }
}

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<SignatureText, SignerError>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn sign_boxed<'a>(&'a self, account: &'a Account, text: &'a str) -> Boxed<'a>;
}

impl<S: Signer> Erased for S {
    fn sign_boxed<'a>(&'a self, account: &'a Account, text: &'a str) -> Boxed<'a> {
        Box::pin(self.sign(account, text))
    }
}

impl StreamChat {
    /// Writes a message and has it signed. The answer is checked to be a signature of the text; that the key is one of the
    /// account's, every reader checks.
    ///
    /// # Errors
    /// The text is empty or too long, the wallet did not sign, or what it gave back is no signature.
    pub async fn sign_message(
        &self,
        signer: &impl Signer,
        account: &Account,
        time: Moment,
        text: &str,
    ) -> Result<Message, SignError> {
        let parts = |signature: &SignatureText| {
            let mut fields = signature_fields(signature, time);
            fields.extend([
                ("u", FieldValue::Text(account.name().to_string().into())),
                ("n", FieldValue::Text(account.network().to_string().into())),
                ("m", FieldValue::Text(text.to_owned().into())),
            ]);
            Message::from_fields(self.networks(), fields)
        };
        // First with a signature that is none: nobody is asked to sign what is no message.
        parts(&SignatureText { text: "-".into(), recovery_id: Some(0) })?;
        let signature = signer.sign(account, &self.message_text(account, time, text)).await?;
        let recovered = self.recover(parts(&signature)?).map_err(SignError::Signature)?;
        Ok(recovered.signed().clone())
    }

    /// Asks for access and has that signed.
    ///
    /// # Errors
    /// As [`sign_message`](Self::sign_message).
    pub async fn sign_request(
        &self,
        signer: &impl Signer,
        account: &Account,
        time: Moment,
    ) -> Result<AccessRequest, SignError> {
        let signature = signer.sign(account, &self.request_text(account, time)).await?;
        let fields = signature_fields(&signature, time);
        let request = AccessRequest::from_fields(self.networks(), account.clone(), fields)?;
        let recovered = self.recover(request).map_err(SignError::Signature)?;
        Ok(recovered.signed().clone())
    }
}

fn signature_fields(
    signature: &SignatureText,
    time: Moment,
) -> Vec<(&'static str, FieldValue<'static>)> {
    let mut fields = vec![
        ("s", FieldValue::Text(signature.text.to_string().into())),
        ("t", FieldValue::Number(time.as_ms())),
    ];
    fields.extend(signature.recovery_id.map(|id| ("r", FieldValue::Number(id.into()))));
    fields
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It would not be a message.
    #[error("this cannot be sent")]
    Form(#[from] MessageError),
    /// What the wallet gave back is no signature of the text.
    #[error("the wallet gave back no signature")]
    Signature(#[source] SignatureError),
    /// The wallet did not sign.
    #[error(transparent)]
    Wallet(#[from] SignerError),
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::fixtures::{self, STREAM, account, chat, keys_of, ms};

    /// A wallet that has every key, and writes down what it was shown.
    #[derive(Debug, Default)]
    struct Wallet {
        shown: Mutex<Vec<String>>,
        answer: Option<&'static str>,
    }

    impl Signer for Wallet {
        async fn sign(&self, account: &Account, text: &str) -> Result<SignatureText, SignerError> {
            self.shown.lock().unwrap().push(text.to_owned());
            if self.answer == Some("no") {
                return Err(SignerError::Refused("said no".into()));
            }
            let (signed, recovery_id) = fixtures::sign(&account.to_string(), text);
            let text = self.answer.map_or(signed, str::to_owned).into();
            Ok(SignatureText { text, recovery_id })
        }
    }

    #[tokio::test]
    async fn the_text_goes_out_and_a_good_message_comes_back() {
        let (chat, wallet) = (chat(STREAM), Wallet::default());
        for who in ["hive/alice", "blurt/alice", "avalon/carol"] {
            let sender = account(who);
            let message = chat.sign_message(&wallet, &sender, ms(5.0), "héllo").await.unwrap();
            assert!(chat.recover(message).unwrap().is_allowed(&keys_of(who)), "{who}");
            let request = chat.sign_request(&wallet, &sender, ms(6.0)).await.unwrap();
            assert!(chat.recover(request).unwrap().is_allowed(&keys_of(who)), "{who}");
        }
        let shown = wallet.shown.into_inner().unwrap();
        assert_eq!(shown[0], "5_alice_hive_héllo_hive/techcoderx/live-1");
        assert_eq!(shown[1], "alivedb_chat_request_6_alice_hive_hive/techcoderx/live-1");
    }

    #[tokio::test]
    async fn nobody_is_asked_to_sign_what_is_no_message() {
        let (chat, wallet) = (chat(STREAM), Wallet::default());
        let sender = account("hive/alice");
        for (time, text) in
            [(ms(5.0), ""), (Moment::EPOCH, "hello"), (ms(5.0), &*"a".repeat(65_537))]
        {
            let refused = chat.sign_message(&wallet, &sender, time, text).await;
            assert!(matches!(refused, Err(SignError::Form(_))));
        }
        assert!(wallet.shown.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_wallet_that_says_no_or_nonsense_sends_nothing() {
        let (chat, sender) = (chat(STREAM), account("hive/alice"));
        let no = SharedSigner::new(Wallet { answer: Some("no"), ..Wallet::default() });
        let refused = chat.sign_message(&no, &sender, ms(5.0), "hello").await;
        assert!(matches!(refused, Err(SignError::Wallet(SignerError::Refused(_)))));
        let nonsense = SharedSigner::new(Wallet { answer: Some("1f"), ..Wallet::default() });
        let refused = chat.sign_request(&nonsense, &sender, ms(5.0)).await;
        assert!(matches!(refused, Err(SignError::Signature(_))));
    }
}
