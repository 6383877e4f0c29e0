"""Links: what a mail carries so that its reader can prove the mailbox; each good for one deed, once."""
