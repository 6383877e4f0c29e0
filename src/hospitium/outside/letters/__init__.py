"""The texts of mails, in each language, and how a mail is made of one."""
