//! Reports of mail servers, made by hand.

/// A delivery status notification (RFC 3464) as Postfix writes it.
pub struct Dsn<'a> {
    pub to: &'a str,
    pub envelope_id: Option<&'a str>,
    pub action: &'a str,
    pub recipient: &'a str,
    pub original: Option<&'a str>,
    /// Headers of the message that is given back.
    pub returned: &'a str,
}
impl Dsn<'_> {
    pub fn write(&self) -> String {
        let Self {
            to,
            action,
            recipient,
            returned,
            ..
        } = self;
        let envelope_id = self
            .envelope_id
            .map_or_else(String::new, |id| format!("Original-Envelope-Id: {id}\r\n"));
        let original = self
            .original
            .map_or_else(String::new, |to| format!("Original-Recipient: rfc822;{to}\r\n"));
        let status = match *action {
            "failed" => "5.1.1",
            "delayed" => "4.4.1",
            _ => "2.0.0",
        };
        format!(
            "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example (Mail Delivery System)\r\nTo: {to}\r\nSubject: Delivery report\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at host mx.example.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n{envelope_id}\r\n\
             Final-Recipient: rfc822; {recipient}\r\n{original}Action: {action}\r\nStatus: {status}\r\n\
             Diagnostic-Code: smtp; {status} said the other server\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--\r\n"
        )
    }
}
