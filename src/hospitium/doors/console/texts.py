"""Every sentence on the pages, in every language. One catalogue: a text without one of its languages can't be written.

They are for whoever reads a mail on a telephone in a waiting room: short sentences, no word of ours that isn't explained, and
always a way on. What stands in braces is filled in, escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from hospitium.engine.accounts.record import Language

if TYPE_CHECKING:
    from collections.abc import Mapping


class Text(NamedTuple):
    """One text in each language, in the order of `Language`."""

    english: str
    spanish: str


TEXTS: Mapping[str, Text] = {
    # on every page
    "skip": Text("Skip to the content", "Ir al contenido"),
    "language": Text("Language", "Idioma"),
    "home": Text("Hospitium, to the start", "Hospitium, al inicio"),
    "footer.place": Text("You are at {place}.", "Está en {place}."),
    "footer.care": Text(
        "Nobody will ever ask you for your password by mail or by telephone.",
        "Nadie le pedirá nunca su contraseña por correo ni por teléfono.",
    ),
    "error": Text("Please look again", "Por favor, revise"),
    "steps": Text("Steps", "Pasos"),
    "steps.open": Text("Open the link", "Abrir el enlace"),
    "steps.look": Text("Read and agree", "Leer y aceptar"),
    "steps.done": Text("Done", "Listo"),
    # fields
    "link": Text("Link from the mail", "Enlace del correo"),
    "link.hint": Text(
        "Copy the whole link from the mail and paste it here.",
        "Copie el enlace completo del correo y péguelo aquí.",
    ),
    "continue": Text("Continue", "Continuar"),
    "password": Text("Your password", "Su contraseña"),
    "password.hint": Text("The one you chose when you registered.", "La que eligió al registrarse."),
    "password.of_account": Text(
        "The password of your Hospitium account with this address.",
        "La contraseña de su cuenta de Hospitium con esta dirección.",
    ),
    "password.new": Text("New password", "Contraseña nueva"),
    "password.choose": Text("Choose a password", "Elija una contraseña"),
    "password.rule": Text(
        "{shortest} characters or more. A few words that only you would put together are good, and easy to remember.",
        "{shortest} caracteres o más. Unas cuantas palabras que solo usted juntaría son seguras y fáciles de recordar.",
    ),
    "password.show": Text("Show", "Mostrar"),
    "email": Text("E\u2011mail address", "Dirección de correo"),
    "first_name": Text("First name", "Nombre"),
    "last_name": Text("Last name", "Apellidos"),
    "optional": Text("(optional)", "(opcional)"),
    "until": Text("The link works until", "El enlace sirve hasta el"),
    # what is wrong with what was typed
    "wrong.link": Text(
        "This is not a link from one of our mails. It ends with 32 letters and digits: perhaps some got lost in copying.",
        "Esto no es un enlace de nuestros correos. Termina con 32 letras y cifras: quizá se perdieron algunas al copiarlo.",
    ),
    "wrong.password": Text(
        "This is not the password of this account. Please try again.",
        "Esta no es la contraseña de la cuenta. Por favor, inténtelo otra vez.",
    ),
    "wrong.password.length": Text(
        "A password has {shortest} to {longest} characters. Please choose another.",
        "Una contraseña tiene de {shortest} a {longest} caracteres. Por favor, elija otra.",
    ),
    "wrong.password.common": Text(
        "Many people use this password, so it is tried first by whoever wants to get in. Please choose another.",
        "Mucha gente usa esta contraseña, y es de las primeras que prueba quien quiere entrar. Por favor, elija otra.",
    ),
    "wrong.email": Text(
        "This is not a complete e\u2011mail address, such as name@example.com.",
        "Esta no es una dirección de correo completa, como nombre@example.com.",
    ),
    "wrong.first_name": Text(
        "A name has at most 200 characters, on one line.", "Un nombre tiene como máximo 200 caracteres, en una línea."
    ),
    "wrong.last_name": Text(
        "A name has at most 200 characters, on one line.", "Un nombre tiene como máximo 200 caracteres, en una línea."
    ),
    # the start
    "home.title": Text("Welcome", "Le damos la bienvenida"),
    "home.lead": Text(
        "Hospitium is where people and organizations agree on who may see health data, and where such an agreement can be seen and ended.",
        "Hospitium es donde personas y organizaciones acuerdan quién puede ver datos de salud, y donde ese acuerdo se puede ver y terminar.",
    ),
    "home.mail": Text("You have a mail from us?", "¿Tiene un correo nuestro?"),
    "home.mail.text": Text(
        "Open the link in it. Before anything happens, you see what it is about, and decide.",
        "Abra el enlace que contiene. Antes de que ocurra nada, verá de qué se trata y usted decide.",
    ),
    "home.code": Text("You have a code on paper?", "¿Tiene un código en papel?"),
    "home.code.text": Text("A clinic gave it to you, to invite you.", "Se lo dio una clínica para invitarle."),
    "home.code.way": Text("Enter the code", "Escribir el código"),
    "home.invites": Text("You have an account?", "¿Tiene una cuenta?"),
    "home.invites.text": Text("Sign in to see your invitations, and answer them.", "Inicie sesión para ver sus invitaciones y responderlas."),
    "home.lost": Text("Your link doesn't work, or your password is lost?", "¿El enlace no funciona o ha perdido la contraseña?"),
    "home.lost.text": Text("We send you a new link.", "Le enviamos un enlace nuevo."),
    "home.programs": Text("You write a program?", "¿Escribe un programa?"),
    "home.programs.text": Text("Everything this server can do is described here:", "Todo lo que este servidor sabe hacer se describe aquí:"),
    "home.programs.link": Text("Description for programmers (in English)", "Descripción para programadores (en inglés)"),
    # a link is opened
    "open.text": Text(
        "First you see what this link does. Nothing changes before you agree.",
        "Primero verá qué hace este enlace. Nada cambia antes de que usted acepte.",
    ),
    "open.again": Text(
        "If you came here with a link: open it once more from the mail, or paste it here.",
        "Si llegó aquí con un enlace: ábralo otra vez desde el correo o péguelo aquí.",
    ),
    # confirm
    "confirm.title": Text("Confirm your e\u2011mail address", "Confirme su dirección de correo"),
    "confirm.text": Text(
        "An account was opened with the address below. If it was you, enter the password you chose. That shows that the account and the address belong together.",
        "Se abrió una cuenta con la dirección de abajo. Si fue usted, escriba la contraseña que eligió. Así se ve que la cuenta y la dirección van juntas.",
    ),
    "confirm.address": Text("Address to confirm", "Dirección que se confirma"),
    "confirm.do": Text("Confirm my address", "Confirmar mi dirección"),
    "confirm.done.title": Text("Your address is confirmed", "Su dirección está confirmada"),
    "confirm.done.text": Text(
        "{email} is confirmed. There is nothing more to do here. You can sign in with the program you use.",
        "{email} está confirmada. Aquí no hay nada más que hacer: inicie sesión en el programa que usa.",
    ),
    "claim.open": Text("I don't know this password, or I didn't register", "No conozco esa contraseña o no me registré"),
    "claim.text": Text(
        "Then somebody else may have used your address. Choose a password of your own: the account becomes yours, everybody is signed out of it, and whatever others were given through it ends. If you don't want an account, just close this page: without you nobody can confirm your address.",
        "Entonces puede que otra persona usara su dirección. Elija una contraseña propia: la cuenta será suya, se cerrarán todas sus sesiones y terminará lo que otros recibieron por ella. Si no quiere una cuenta, cierre esta página: sin usted nadie puede confirmar su dirección.",
    ),
    "claim.do": Text("Make this account mine", "Hacer mía esta cuenta"),
    "claim.done.title": Text("The account is yours", "La cuenta es suya"),
    "claim.done.text": Text(
        "{email} is confirmed, and only your new password opens the account. You can sign in with it in the program you use.",
        "{email} está confirmada y solo su contraseña nueva abre la cuenta. Inicie sesión con ella en el programa que usa.",
    ),
    # password
    "password.title": Text("Set a new password", "Elija una contraseña nueva"),
    "password.text": Text(
        "Choose a new password for the account below. You will be signed out everywhere, and can sign in again with the new one.",
        "Elija una contraseña nueva para la cuenta de abajo. Se cerrarán todas sus sesiones y podrá iniciar sesión con la nueva.",
    ),
    "password.text.unconfirmed": Text(
        "Choose a new password for the account below. That also confirms its address: the account is yours, everybody is signed out of it, and whatever others were given through it ends.",
        "Elija una contraseña nueva para la cuenta de abajo. Con ello también se confirma su dirección: la cuenta es suya, se cerrarán todas sus sesiones y terminará lo que otros recibieron por ella.",
    ),
    "password.account": Text("Account", "Cuenta"),
    "password.do": Text("Set this password", "Guardar esta contraseña"),
    "password.done.title": Text("Your new password is set", "Su contraseña nueva está guardada"),
    "password.done.text": Text(
        "You were signed out everywhere. You can sign in with the new password in the program you use.",
        "Se cerraron todas sus sesiones. Inicie sesión con la contraseña nueva en el programa que usa.",
    ),
    "password.used.title": Text("This link has been used", "Este enlace ya se usó"),
    "password.used.text": Text(
        "A new password was set with it. If that was you, all is well: sign in with the new password in the program you use.",
        "Con él se guardó una contraseña nueva. Si fue usted, todo está bien: inicie sesión con ella en el programa que usa.",
    ),
    "password.used.not_me": Text(
        "If it wasn't you, or you don't remember it, have a new link sent and set a password again.",
        "Si no fue usted, o no la recuerda, pida un enlace nuevo y elija otra vez una contraseña.",
    ),
    # email
    "email.title": Text("Confirm your new address", "Confirme su nueva dirección"),
    "email.text": Text(
        "Your account is to have another e\u2011mail address. Your password shows that it is you who wants it.",
        "Su cuenta va a tener otra dirección de correo. Su contraseña muestra que es usted quien lo quiere.",
    ),
    "email.before": Text("Address until now", "Dirección hasta ahora"),
    "email.after": Text("New address", "Dirección nueva"),
    "email.do": Text("Use the new address", "Usar la dirección nueva"),
    "email.done.title": Text("Your new address is in use", "Su nueva dirección está en uso"),
    "email.done.text": Text(
        "Your account has the address {email} now. Sign in with it from here on; the old address gets a mail that says so.",
        "Su cuenta tiene ahora la dirección {email}. Desde ahora inicie sesión con ella; la antigua recibe un correo que lo dice.",
    ),
    # join
    "join.title": Text("Your invitation", "Su invitación"),
    "join.look.title": Text("{organization} invites you", "{organization} le invita"),
    "join.text": Text(
        "If you accept, you belong to this organization, with the role below. Others in it can see that you do. You can leave at any time.",
        "Si acepta, formará parte de esta organización con el papel de abajo. Otras personas de ella podrán verlo. Puede dejarla en cualquier momento.",
    ),
    "join.organization": Text("Organization", "Organización"),
    "join.role": Text("Your role", "Su papel"),
    "join.address": Text("Your address", "Su dirección"),
    "join.new": Text(
        "You have no Hospitium account with this address yet. Choose a password, and it is made for you.",
        "Todavía no tiene una cuenta de Hospitium con esta dirección. Elija una contraseña y se creará para usted.",
    ),
    "join.do": Text("Accept the invitation", "Aceptar la invitación"),
    "join.no": Text(
        "If you don't know this organization or don't want to join, just close this page. Nothing changes.",
        "Si no conoce esta organización o no quiere unirse, cierre esta página. No cambia nada.",
    ),
    "join.done.title": Text("You have joined", "Ya forma parte"),
    "join.done.text": Text(
        "You belong to {organization} now. You can sign in with your address and password in the program you use.",
        "Ahora forma parte de {organization}. Inicie sesión con su dirección y su contraseña en el programa que usa.",
    ),
    "join.member.title": Text("You belong to this organization already", "Ya forma parte de esta organización"),
    "join.member.text": Text(
        "There is nothing more to do here. You can sign in with the program you use.",
        "Aquí no hay nada más que hacer: inicie sesión en el programa que usa.",
    ),
    # share
    "share.title": Text("Something is shared with you", "Alguien comparte algo con usted"),
    "share.look.title": Text("{sharer} would like to share something with you", "{sharer} quiere compartir algo con usted"),
    "share.text": Text(
        "Nothing is shared before you accept. Whoever shares it can end it at any time, and so can you.",
        "No se comparte nada antes de que usted acepte. Quien lo comparte puede terminarlo en cualquier momento, y usted también.",
    ),
    "share.thing": Text("What is shared", "Qué se comparte"),
    "share.account": Text("their own account", "su propia cuenta"),
    "share.sharer": Text("Shared by", "Lo comparte"),
    "share.may": Text("You may", "Usted podrá"),
    "share.team": Text("With your team", "Con su equipo"),
    "share.team.may": Text("Its members may", "Sus miembros podrán"),
    "share.may.2": Text("know that it is there", "saber que existe"),
    "share.may.4": Text("read it", "leerlo"),
    "share.may.5": Text("read it, and share it with others", "leerlo y compartirlo con otras personas"),
    "share.may.6": Text("read it, share it with others, and change it", "leerlo, compartirlo con otras personas y cambiarlo"),
    "share.address": Text("Sent to", "Enviado a"),
    "share.from": Text("Shared from", "Se comparte desde el"),
    "share.until": Text("Shared until", "Se comparte hasta el"),
    "share.changed": Text(
        "What is offered was changed while this page was open. Nothing is shared yet.",
        "Lo que se ofrece cambió mientras esta página estaba abierta. Todavía no se comparte nada.",
    ),
    "share.do": Text("Accept", "Aceptar"),
    "share.decline": Text("Decline", "Rechazar"),
    "share.no": Text(
        "If you don't know who sent this, decline, or just close this page.",
        "Si no conoce a quien lo envió, rechácelo o cierre esta página.",
    ),
    "share.done.title": Text("It is shared with you", "Ya está compartido con usted"),
    "share.done.text": Text(
        "{sharer} shares with you: {thing}. You find it in the program you use, where you sign in with your address and password.",
        "{sharer} comparte con usted: {thing}. Lo encuentra en el programa que usa, donde inicia sesión con su dirección y su contraseña.",
    ),
    "share.done.team.title": Text("It is shared with your team", "Ya está compartido con su equipo"),
    "share.done.team.text": Text(
        "{sharer} shares with {team}: {thing}. Its members find it in the program they use, where they sign in with their address and password.",
        "{sharer} comparte con {team}: {thing}. Sus miembros lo encuentran en el programa que usan, donde inician sesión con su dirección y su contraseña.",
    ),
    "share.declined.title": Text("You have declined", "Lo ha rechazado"),
    "share.declined.text": Text(
        "Nothing is shared with you. Whoever offered it can see that you declined.",
        "No se comparte nada con usted. Quien lo ofreció puede ver que lo rechazó.",
    ),
    # signing in and out
    "visitor": Text("Your account", "Su cuenta"),
    "visitor.is": Text("Signed in as {email}", "Sesión iniciada como {email}"),
    "sign_in.title": Text("Sign in", "Inicie sesión"),
    "sign_in.text": Text(
        "Sign in with your e\u2011mail address and your password. Then you see the invitations that are waiting for you.",
        "Inicie sesión con su dirección de correo y su contraseña. Después verá las invitaciones que le esperan.",
    ),
    "sign_in.do": Text("Sign in", "Iniciar sesión"),
    "sign_in.again": Text("Sign in again", "Iniciar sesión otra vez"),
    "sign_in.lost": Text("Your password is lost, or your address isn't confirmed yet?", "¿Ha perdido la contraseña o todavía no ha confirmado su dirección?"),
    "sign_in.code": Text("You have a code on paper, and no account yet?", "¿Tiene un código en papel y todavía no tiene cuenta?"),
    "wrong.sign_in": Text(
        "Address and password don't belong together. Please look at both, and try again.",
        "La dirección y la contraseña no van juntas. Por favor, revise las dos e inténtelo otra vez.",
    ),
    "wrong.not_confirmed": Text(
        "The address of this account was never confirmed, and its first day is over. Have a new link sent, confirm the address, and sign in then.",
        "La dirección de esta cuenta no se ha confirmado y ya pasó el primer día. Pida un enlace nuevo, confirme la dirección y después inicie sesión.",
    ),
    "sign_out": Text("Sign out", "Cerrar la sesión"),
    "sign_out.text": Text(
        "If others use this device too, sign out when you have finished.",
        "Si otras personas usan también este aparato, cierre la sesión cuando termine.",
    ),
    "signed_out.title": Text("You are signed out", "Ha cerrado la sesión"),
    "signed_out.text": Text(
        "Nobody can see your invitations in this browser any more.",
        "Ya nadie puede ver sus invitaciones en este navegador.",
    ),
    # the code
    "steps.code": Text("Your code", "Su código"),
    "steps.question": Text("The question", "La pregunta"),
    "steps.password": Text("Your password", "Su contraseña"),
    "steps.agree": Text("Read and agree", "Leer y aceptar"),
    "code.title": Text("Enter your code", "Escriba su código"),
    "code.text": Text(
        "You were given a code on paper: eight letters and digits. Type it here.",
        "Le dieron un código en papel: ocho letras y cifras. Escríbalo aquí.",
    ),
    "code": Text("Code", "Código"),
    "code.hint": Text(
        "Such as ABCD 2345. Capital or small letters, with or without a space, make no difference.",
        "Por ejemplo, ABCD 2345. Da igual si usa mayúsculas o minúsculas, con espacio o sin él.",
    ),
    "code.none": Text(
        "You have no code, or it got lost? Please ask the clinic that invited you.",
        "¿No tiene un código o lo ha perdido? Por favor, pregunte a la clínica que le invitó.",
    ),
    "wrong.code": Text(
        "A code has eight letters and digits. The digits 0 and 1 and the letters O and I are in none.",
        "Un código tiene ocho letras y cifras. Las cifras 0 y 1 y las letras O e I no aparecen en ninguno.",
    ),
    "question": Text("The clinic's question", "La pregunta de la clínica"),
    "answer": Text("Answer", "Respuesta"),
    "answer.hint": Text("Capital or small letters make no difference.", "Da igual si usa mayúsculas o minúsculas."),
    "question.title": Text("Answer the question", "Responda a la pregunta"),
    "question.ask.title": Text("Answer the question", "Responda a la pregunta"),
    "question.ask.text": Text(
        "The clinic has agreed on this question with you. Answer it, and say whether you have a Hospitium account.",
        "La clínica acordó esta pregunta con usted. Respóndala y diga si tiene una cuenta de Hospitium.",
    ),
    "question.new.title": Text("Open your account", "Abra su cuenta"),
    "question.new.text": Text(
        "Say who you are, and choose a password. After that you see what the clinic offers. Nothing is shared before you accept.",
        "Diga quién es y elija una contraseña. Después verá lo que ofrece la clínica. No se comparte nada antes de que usted acepte.",
    ),
    "question.new.email": Text("We send a mail there, so that you can confirm it.", "Allí enviaremos un correo para que pueda confirmarla."),
    "question.new.do": Text("Open my account", "Abrir mi cuenta"),
    "question.known.title": Text("Sign in with your account", "Inicie sesión con su cuenta"),
    "question.known.text": Text(
        "Answer the question, and sign in. After that you see what the clinic offers. Nothing is shared before you accept.",
        "Responda a la pregunta e inicie sesión. Después verá lo que ofrece la clínica. No se comparte nada antes de que usted acepte.",
    ),
    "question.known.do": Text("Sign in and go on", "Iniciar sesión y seguir"),
    "question.signed_in.title": Text("Answer the question", "Responda a la pregunta"),
    "question.signed_in.text": Text(
        "The clinic has agreed on this question with you. After that you see what it offers. Nothing is shared before you accept.",
        "La clínica acordó esta pregunta con usted. Después verá lo que ofrece. No se comparte nada antes de que usted acepte.",
    ),
    "question.new": Text("I am new here", "Es mi primera vez"),
    "question.known": Text("I have an account", "Ya tengo una cuenta"),
    "question.help": Text(
        "You don't know the answer? Please ask the clinic. After five wrong answers it has to issue a new code.",
        "¿No sabe la respuesta? Por favor, pregunte a la clínica. Después de cinco respuestas equivocadas tiene que emitir un código nuevo.",
    ),
    "password_again": Text("The same password again", "La misma contraseña otra vez"),
    "wrong.password_again": Text("The two passwords differ. Please type both again.", "Las dos contraseñas son distintas. Por favor, escríbalas otra vez."),
    "wrong.answer": Text(
        "This is not the right answer. If you are not sure, ask the clinic before you try again: after five wrong answers it has to issue a new code.",
        "Esta no es la respuesta correcta. Si tiene dudas, pregunte a la clínica antes de volver a intentarlo: después de cinco respuestas equivocadas tiene que emitir un código nuevo.",
    ),
    "wrong.security_answer": Text("An answer has 2 to 128 characters.", "Una respuesta tiene de 2 a 128 caracteres."),
    "wrong.has_account": Text(
        "There is an account with this address already. Sign in with it here.",
        "Ya existe una cuenta con esta dirección. Inicie sesión con ella aquí.",
    ),
    "wrong.middle_name": Text(
        "A name has at most 200 characters, on one line.", "Un nombre tiene como máximo 200 caracteres, en una línea."
    ),
    # the link of an invitation
    "invited.title": Text("Your invitation", "Su invitación"),
    "invited.look.title": Text("{organization} invites you", "{organization} le invita"),
    "invited.new": Text(
        "Choose a password first. With your address and this password you can sign in here from then on. After that you see what the invitation is about, and accept or decline it.",
        "Primero elija una contraseña. Desde entonces podrá iniciar sesión aquí con su dirección y esta contraseña. Después verá de qué trata la invitación y podrá aceptarla o rechazarla.",
    ),
    "invited.known": Text(
        "You have an account with this address. Enter its password: then you see what the invitation is about, and accept or decline it.",
        "Ya tiene una cuenta con esta dirección. Escriba su contraseña: después verá de qué trata la invitación y podrá aceptarla o rechazarla.",
    ),
    "invited.do": Text("Go on", "Seguir"),
    "invited.no": Text(
        "If you don't know who invites you, just close this page. Nothing changes.",
        "Si no conoce a quien le invita, cierre esta página. No cambia nada.",
    ),
    # invitations
    "invites.title": Text("Your invitations", "Sus invitaciones"),
    "invites.waiting": Text("Waiting for your answer", "Esperan su respuesta"),
    "invites.none": Text("No invitation is waiting for you.", "No le espera ninguna invitación."),
    "invites.unconfirmed": Text(
        "You haven't confirmed your e\u2011mail address yet. Look for our mail. Invitations that were sent to this address show here as soon as it is confirmed.",
        "Todavía no ha confirmado su dirección de correo. Busque nuestro correo. Las invitaciones enviadas a esta dirección aparecerán aquí en cuanto la confirme.",
    ),
    "invites.accepted": Text("Accepted", "Aceptadas"),
    "invites.record_of": Text("Record of {name}", "Historia de {name}"),
    "invites.since": Text("since {when}", "desde el {when}"),
    "invites.until": Text("open until {when}", "abierta hasta el {when}"),
    "invite.title": Text("An invitation", "Una invitación"),
    "invite.look.title": Text("{organization} invites you", "{organization} le invita"),
    "invite.text": Text(
        "You are invited to read the health record below. Please check that it is about the right person. Nothing is shared before you accept.",
        "Le invitan a leer la historia de salud de abajo. Compruebe, por favor, que es de la persona correcta. No se comparte nada antes de que usted acepte.",
    ),
    "invite.from": Text("Invitation from", "Le invita"),
    "invite.phone": Text("Telephone", "Teléfono"),
    "invite.server": Text("Where the record is", "Dónde está la historia"),
    "invite.record_of": Text("Record of", "Historia de"),
    "invite.birth_date": Text("Born", "Fecha de nacimiento"),
    "invite.gender": Text("Sex", "Sexo"),
    "invite.may": Text("You may", "Usted podrá"),
    "invite.may.read": Text("read it", "leerla"),
    "invite.for": Text("Accepted for", "Aceptada para"),
    "invite.accepted_at": Text("Since", "Desde el"),
    "invite.open_until": Text("Open until", "Abierta hasta el"),
    "invite.terms.read": Text(
        "You can read this record, in the programs that you use with Hospitium. You can't change anything in it.",
        "Podrá leer esta historia en los programas que usa con Hospitium. No podrá cambiar nada en ella.",
    ),
    "invite.terms.end": Text(
        "This lasts until it is ended. You can end it at any time, and so can {organization}.",
        "Esto dura hasta que se termine. Usted puede terminarlo en cualquier momento, y {organization} también.",
    ),
    "invite.terms.seen": Text(
        "{organization} sees that you have accepted, with your name and your e\u2011mail address.",
        "{organization} verá que usted aceptó, con su nombre y su dirección de correo.",
    ),
    "invite.changed": Text(
        "The invitation was changed while this page was open, or can't be accepted at the moment. Nothing is shared yet.",
        "La invitación cambió mientras esta página estaba abierta o no se puede aceptar ahora mismo. Todavía no se comparte nada.",
    ),
    "invite.close": Text(
        "If this is not what you expected, just close this page. Nothing changes.",
        "Si esto no es lo que esperaba, cierre esta página. No cambia nada.",
    ),
    "invite.accepted.title": Text("You have accepted", "Ha aceptado"),
    "invite.accepted.text": Text(
        "You can read this record from now on, in the programs that you use with Hospitium.",
        "Desde ahora puede leer esta historia en los programas que usa con Hospitium.",
    ),
    "invite.declined.title": Text("You have declined", "La ha rechazado"),
    "invite.declined.text": Text(
        "Nothing is shared with you. Whoever invited you can see that you declined.",
        "No se comparte nada con usted. Quien le invitó puede ver que la rechazó.",
    ),
    "invite.over.title": Text("This invitation is over", "Esta invitación ya no está abierta"),
    "invite.over.text": Text(
        "It has ended or was taken back in the meantime. Nothing was changed. If you still need it, ask whoever invited you.",
        "Entretanto terminó o la retiraron. No se ha cambiado nada. Si todavía la necesita, pregunte a quien le invitó.",
    ),
    # my record
    "record.title": Text("My record", "Mi historia"),
    "record.lead": Text(
        "Here you see which health records you can read, for yourself and for whom you look after, who else has looked at them, and how to end it.",
        "Aquí ve qué historias de salud puede leer, suyas y de quienes cuida, quién más las ha mirado y cómo terminarlo.",
    ),
    "record.nobody": Text(
        "There is no record here yet. When you accept an invitation from a clinic, the record shows here.",
        "Aquí todavía no hay ninguna historia. Cuando acepte la invitación de una clínica, la historia aparecerá aquí.",
    ),
    "record.none": Text("No clinic has opened a record for this person.", "Ninguna clínica ha abierto una historia de esta persona."),
    "record.home": Text("Sign in to see the records that clinics have opened for you, and who has looked at them.", "Inicie sesión para ver las historias que las clínicas abrieron para usted y quién las ha mirado."),
    "record.since": Text("since {when}", "desde el {when}"),
    "record.by.code": Text("by an invitation on paper", "por una invitación en papel"),
    "record.by.email": Text("by an invitation sent to {email}", "por una invitación enviada a {email}"),
    "record.by.administrator": Text("given by the clinic, without a new invitation", "concedida por la clínica, sin una invitación nueva"),
    "record.by": Text("How it was opened", "Cómo se abrió"),
    "record.of": Text("Record of {name}", "Historia de {name}"),
    "record.of.clinic": Text("Record at {organization}", "Historia en {organization}"),
    "record.back": Text("All records", "Todas las historias"),
    "record.shown": Text(
        "The newest entries come first; at most {most} of each kind are shown. Words and numbers are those of the clinic. If something is wrong or missing, ask there.",
        "Lo más reciente está primero; se muestran como máximo {most} entradas de cada tipo. Las palabras y los números son los de la clínica. Si algo falta o no es correcto, pregunte allí.",
    ),
    "record.why.away": Text(
        "The clinic's server can't be reached now. Nothing is lost: please try again later.",
        "Ahora no se puede llegar al servidor de la clínica. No se ha perdido nada: por favor, inténtelo más tarde.",
    ),
    "record.why.wrong": Text(
        "The clinic's server answered with something that can't be read. Please tell the clinic.",
        "El servidor de la clínica respondió algo que no se puede leer. Por favor, avise a la clínica.",
    ),
    "record.why.closed": Text(
        "This record can't be read at the moment: the clinic has to confirm something first, or has closed it. Please ask there.",
        "Ahora mismo esta historia no se puede leer: la clínica tiene que confirmar algo antes o la ha cerrado. Por favor, pregunte allí.",
    ),
    "record.part.missing": Text("This part can't be read now, or not all of it.", "Esta parte no se puede leer ahora, o no toda."),
    "record.part.cut": Text("The clinic's server has more than is shown here.", "El servidor de la clínica tiene más de lo que aquí se muestra."),
    "record.part.none": Text("The record says nothing here.", "La historia no dice nada aquí."),
    "record.unnamed": Text("Not named in the record", "Sin nombre en la historia"),
    "record.undated": Text("without a date", "sin fecha"),
    "record.conditions": Text("Conditions", "Problemas de salud"),
    "record.medications": Text("Medications", "Medicamentos"),
    "record.immunizations": Text("Vaccinations", "Vacunas"),
    "record.allergies": Text("Allergies", "Alergias"),
    "record.observations": Text("Measurements and findings", "Mediciones y resultados"),
    "record.mark.active": Text("active", "activo"),
    "record.mark.recurrence": Text("came back", "ha vuelto"),
    "record.mark.relapse": Text("came back", "ha vuelto"),
    "record.mark.inactive": Text("not active", "inactivo"),
    "record.mark.remission": Text("in remission", "en remisión"),
    "record.mark.resolved": Text("resolved", "resuelto"),
    "record.mark.unconfirmed": Text("not confirmed", "sin confirmar"),
    "record.mark.provisional": Text("not certain yet", "todavía no es seguro"),
    "record.mark.differential": Text("one of several possibilities", "una de varias posibilidades"),
    "record.mark.refuted": Text("ruled out: this is not so", "descartado: no es así"),
    "record.mark.completed": Text("completed", "terminado"),
    "record.mark.not-done": Text("not given", "no se puso"),
    "record.mark.stopped": Text("stopped", "suspendido"),
    "record.mark.on-hold": Text("paused", "en pausa"),
    "record.mark.cancelled": Text("cancelled", "anulado"),
    "record.mark.draft": Text("a draft", "borrador"),
    "record.mark.intended": Text("intended", "previsto"),
    "record.mark.not-taken": Text("not taken", "no se toma"),
    "record.mark.proposal": Text("only proposed", "solo propuesto"),
    "record.mark.plan": Text("only planned", "solo planeado"),
    "record.mark.not-to-be-taken": Text("not to be taken", "no debe tomarse"),
    "record.mark.registered": Text("no result yet", "todavía sin resultado"),
    "record.mark.preliminary": Text("preliminary", "provisional"),
    "record.mark.severe": Text("can be severe", "puede ser grave"),
    "record.mark.yes": Text("yes", "sí"),
    "record.mark.no": Text("no", "no"),
    "record.mark.more": Text("the clinic says more about this than can be shown here: ask there", "la clínica dice más de lo que aquí se puede mostrar: pregunte allí"),
    "record.chart": Text(
        "Chart of {name}: {count} values, from {first} to {last}; the lowest is {lowest}, the highest {highest}. All of them are in the table below.",
        "Gráfico de {name}: {count} valores, del {first} al {last}; el más bajo es {lowest}, el más alto {highest}. Todos están en la tabla de abajo.",
    ),
    "record.lowest": Text("lowest {value}", "el más bajo: {value}"),
    "record.highest": Text("highest {value}", "el más alto: {value}"),
    "record.usual": Text("usual range: {range}", "intervalo habitual: {range}"),
    "record.usual.band": Text("usual range: {range} (the band in the chart)", "intervalo habitual: {range} (la banda del gráfico)"),
    "record.values": Text("All {count} values", "Los {count} valores"),
    "record.values.when": Text("Date", "Fecha"),
    "record.values.value": Text("Value", "Valor"),
    "record.values.usual": Text("Usual range", "Intervalo habitual"),
    "record.values.none": Text("no value", "sin valor"),
    # who looked
    "reads.title": Text("Who looked", "Quién ha mirado"),
    "reads.of": Text("Who looked at the records of {name}", "Quién ha mirado las historias de {name}"),
    "reads.lead": Text(
        "Each time somebody reads this record through Hospitium it is written down here, also when you do yourself. What a clinic's own staff do in the clinic's own programs isn't known here.",
        "Cada vez que alguien lee esta historia por medio de Hospitium queda anotado aquí, también cuando lo hace usted. Lo que el personal de una clínica hace en sus propios programas no se sabe aquí.",
    ),
    "reads.none": Text("Nobody has looked yet.", "Todavía no ha mirado nadie."),
    "reads.all": Text("All of them", "Ver todo"),
    "reads.older": Text("Earlier ones", "Anteriores"),
    "reads.newest": Text("The newest", "Lo más reciente"),
    "reads.day": Text("{when} (UTC)", "{when} (UTC)"),
    "reads.you": Text("You", "Usted"),
    "reads.nameless": Text("Somebody whose account has no name, or is gone", "Alguien cuya cuenta no tiene nombre o ya no existe"),
    "reads.program": Text("A program", "Un programa"),
    "reads.for": Text("for {organization}", "para {organization}"),
    "reads.at": Text("record at {organization}", "historia en {organization}"),
    "reads.refused": Text("tried, and was refused", "lo intentó y se le negó"),
    "reads.once": Text("at {first}", "a las {first}"),
    "reads.between": Text("between {first} and {last}", "entre las {first} y las {last}"),
    "reads.something": Text("something that isn't told", "algo que no se dice"),
    "reads.everything": Text("the whole record", "toda la historia"),
    "reads.what.Patient": Text("name and birth date", "nombre y fecha de nacimiento"),
    "reads.what.Condition": Text("conditions", "problemas de salud"),
    "reads.what.MedicationRequest": Text("prescriptions", "recetas"),
    "reads.what.MedicationStatement": Text("medications", "medicamentos"),
    "reads.what.Immunization": Text("vaccinations", "vacunas"),
    "reads.what.AllergyIntolerance": Text("allergies", "alergias"),
    "reads.what.Observation": Text("measurements and findings", "mediciones y resultados"),
    "reads.what.Encounter": Text("visits", "visitas"),
    "reads.what.Procedure": Text("procedures", "intervenciones"),
    "reads.what.DiagnosticReport": Text("reports", "informes"),
    "reads.what.DocumentReference": Text("documents", "documentos"),
    # who else, and ending it
    "holders.title": Text("Who else looks after {name}", "Quién más se ocupa de {name}"),
    "holders.level.4": Text("can read", "puede leer"),
    "holders.level.6": Text("can read, and change what is said of the person", "puede leer y cambiar los datos de la persona"),
    "holders.level.7": Text("can read, and decide who else can", "puede leer y decidir quién más puede"),
    "ending.record": Text("End my access to this record", "Terminar mi acceso a esta historia"),
    "ending.record.title": Text("End the access to this record?", "¿Terminar el acceso a esta historia?"),
    "ending.record.text": Text(
        "Then nobody who looks after {name} can read this record any more. The record itself stays with {organization}, and nothing in it changes. To open it again you need a new invitation from there.",
        "Entonces nadie que se ocupe de {name} podrá leer esta historia. La historia misma se queda en {organization} y nada en ella cambia. Para abrirla otra vez necesita una invitación nueva de allí.",
    ),
    "ending.record.do": Text("End the access", "Terminar el acceso"),
    "ending.record.done.title": Text("The access has ended", "El acceso ha terminado"),
    "ending.record.done.text": Text(
        "Nobody who looks after {whom} can read the record at {organization} any more.",
        "Nadie que se ocupe de {whom} puede leer ya la historia en {organization}.",
    ),
    "ending.holder": Text("End the access of {name}", "Terminar el acceso de {name}"),
    "ending.own": Text("End my own access", "Terminar mi propio acceso"),
    "ending.holder.title": Text("End this person's access?", "¿Terminar el acceso de esta persona?"),
    "ending.holder.text": Text(
        "Then {who} ({email}) can't see the records of {name} any more. You can offer it again at any time.",
        "Entonces {who} ({email}) no podrá ver las historias de {name}. Puede ofrecérselo otra vez cuando quiera.",
    ),
    "ending.own.title": Text("End your own access?", "¿Terminar su propio acceso?"),
    "ending.own.text": Text(
        "Then you can't see the records of {name} any more. Whoever looks after {name} can offer it to you again.",
        "Entonces usted no podrá ver las historias de {name}. Quien se ocupe de {name} puede ofrecérselo otra vez.",
    ),
    "ending.holder.do": Text("End the access", "Terminar el acceso"),
    "ending.holder.done.title": Text("The access has ended", "El acceso ha terminado"),
    "ending.holder.done.text": Text("From now on nothing of {whom} is shown there.", "Desde ahora no se muestra allí nada de {whom}."),
    "ending.over.title": Text("There is no such access any more", "Ese acceso ya no existe"),
    "ending.over.text": Text("It has ended already, or never was. Nothing more was changed.", "Ya terminó o nunca existió. No se ha cambiado nada más."),
    "ending.keep": Text("No, leave it as it is", "No, dejarlo como está"),
    # for whom
    "person.title": Text("Who is this person to you?", "¿Quién es esta persona para usted?"),
    "person.legend": Text(
        "These are the persons whose records you look after already. Choose the one this record is about.",
        "Estas son las personas de cuyos datos ya se ocupa. Elija a la que corresponde esta historia.",
    ),
    "person.new": Text("Somebody who isn't in this list", "Alguien que no está en esta lista"),
    "person.check": Text(
        "This is what the record says. Please check it, and correct what is wrong.",
        "Esto es lo que dice la historia. Por favor, revíselo y corrija lo que no esté bien.",
    ),
    "choose": Text("Please choose", "Elija, por favor"),
    "relationship": Text("This record is about", "Esta historia es de"),
    "relationship.self": Text("myself", "mí mismo o mí misma"),
    "relationship.child": Text("my child", "mi hijo o mi hija"),
    "relationship.parent": Text("my mother or father", "mi madre o mi padre"),
    "relationship.spouse": Text("my wife, husband or partner", "mi esposa, esposo o pareja"),
    "relationship.sibling": Text("my sister or brother", "mi hermana o mi hermano"),
    "relationship.relative": Text("another relative", "otro familiar"),
    "relationship.provider": Text("somebody I care for by profession", "alguien a quien atiendo por profesión"),
    "relationship.other": Text("somebody else", "otra persona"),
    "middle_name": Text("Middle name", "Segundo nombre"),
    "birth_date": Text("Date of birth", "Fecha de nacimiento"),
    "gender": Text("Sex, as the record has it", "Sexo, como figura en la historia"),
    "gender.female": Text("female", "mujer"),
    "gender.male": Text("male", "hombre"),
    "gender.other": Text("another", "otro"),
    "gender.unknown": Text("not known", "no se sabe"),
    "wrong.person": Text(
        "Please choose somebody from this list, or say that it is somebody else.",
        "Por favor, elija a alguien de esta lista o indique que es otra persona.",
    ),
    "wrong.relationship": Text("Please choose whom this record is about.", "Por favor, elija de quién es esta historia."),
    "wrong.birth_date": Text(
        "This is not a day between 1850 and today. Write it as year, month and day, such as 1985-01-31.",
        "Este no es un día entre 1850 y hoy. Escríbalo como año, mes y día, por ejemplo 1985-01-31.",
    ),
    "wrong.gender": Text("Please choose one of these.", "Por favor, elija una de estas opciones."),
    # the desk
    "desk.title": Text("Invite at the desk", "Invitar en el mostrador"),
    "desk.text": Text(
        "Make a slip with a code, and hand it to the patient, or to whoever looks after the patient's record.",
        "Haga una hoja con un código y entréguela al paciente o a quien se ocupe de su historia.",
    ),
    "desk.none": Text(
        "There is no FHIR server on which you may invite. Ask whoever administers your organization here.",
        "No hay ningún servidor FHIR en el que pueda invitar. Pregunte a quien administra aquí su organización.",
    ),
    "desk.server": Text("FHIR server", "Servidor FHIR"),
    "desk.patient_id": Text("Id of the patient", "Id del paciente"),
    "desk.patient_id.hint": Text("As the FHIR server has it.", "Como figura en el servidor FHIR."),
    "desk.identifier": Text("Or an identifier of the patient", "O un identificador del paciente"),
    "desk.identifier.hint": Text("Such as urn:mrn|12345: system, bar, value; or the value alone.", "Por ejemplo, urn:mrn|12345: sistema, barra, valor; o solo el valor."),
    "desk.question": Text("Question", "Pregunta"),
    "desk.question.hint": Text(
        "Agree on it with whom you invite. Something that isn't in the record, and that others don't know. It can be read by whoever has the code.",
        "Acuérdela con quien invita. Algo que no esté en la historia y que otras personas no sepan. Puede leerla quien tenga el código.",
    ),
    "desk.answer.hint": Text("It is not on the slip, and can't be looked up later.", "No está en la hoja ni se puede consultar después."),
    "desk.language": Text("Language of the slip", "Idioma de la hoja"),
    "desk.look.title": Text("Is this the right patient?", "¿Es el paciente correcto?"),
    "desk.look.text": Text(
        "Whoever has the code and knows the answer can read this record. The slip is shown once: have the printer ready.",
        "Quien tenga el código y sepa la respuesta podrá leer esta historia. La hoja se muestra una sola vez: tenga lista la impresora.",
    ),
    "desk.look.do": Text("Yes, make the slip", "Sí, hacer la hoja"),
    "desk.again": Text("No, start again", "No, empezar de nuevo"),
    "wrong.server": Text("You may not invite on this FHIR server.", "No puede invitar en este servidor FHIR."),
    "wrong.patient_id": Text(
        "Give the id of the patient (letters, digits, hyphens, dots) or an identifier; and of a record that is in use.",
        "Indique el id del paciente (letras, cifras, guiones, puntos) o un identificador; y de una historia que esté en uso.",
    ),
    "wrong.identifier": Text("This is no identifier, or of a record that is not in use any more.", "Esto no es un identificador, o es de una historia que ya no está en uso."),
    "wrong.no_such_patient": Text("There is no such patient on this FHIR server.", "No existe este paciente en este servidor FHIR."),
    "wrong.several_patients": Text(
        "Several patients have this identifier. Use the id of the patient.",
        "Varios pacientes tienen este identificador. Use el id del paciente.",
    ),
    "wrong.security_question": Text("A question has at most 200 characters, on one line.", "Una pregunta tiene como máximo 200 caracteres, en una línea."),
    "wrong.slip_language": Text("Please choose one of these.", "Por favor, elija una de estas opciones."),
    # a new link
    "new_link.title": Text("Have a new link sent", "Pida un enlace nuevo"),
    "new_link.text": Text(
        "Enter the address of your account, and say what you need.",
        "Escriba la dirección de su cuenta y diga qué necesita.",
    ),
    "new_link.password": Text("Set a new password", "Elegir una contraseña nueva"),
    "new_link.confirm": Text("Confirm my address", "Confirmar mi dirección"),
    "new_link.done.title": Text("Look into your mailbox", "Mire en su buzón"),
    "new_link.done.text": Text(
        "If there is something to be sent to {email}, it is on its way. It can take some minutes; look among unwanted mail too.",
        "Si hay algo que enviar a {email}, está en camino. Puede tardar unos minutos; mire también en el correo no deseado.",
    ),
    "new_link.done.same": Text(
        "We show this for every address, so that nobody can find out here who has an account.",
        "Mostramos esto para cualquier dirección, para que nadie pueda averiguar aquí quién tiene una cuenta.",
    ),
    # ways on
    "way.new_link": Text("Have a new link sent", "Pedir un enlace nuevo"),
    "way.home": Text("To the start", "Al inicio"),
    "way.open": Text("Open the form again", "Abrir otra vez el formulario"),
    "way.again": Text("Try again", "Intentarlo otra vez"),
    # refusals
    "dead_link.title": Text("This link doesn't work", "Este enlace no sirve"),
    "dead_link.text": Text(
        "A link works once, and not for ever. It may have been used, a newer mail may have taken its place, or a part of it was lost in copying. Nothing was changed.",
        "Un enlace sirve una sola vez y durante un tiempo. Puede que ya se haya usado, que un correo más nuevo lo sustituya o que se perdiera una parte al copiarlo. No se ha cambiado nada.",
    ),
    "dead_link.confirm": Text(
        "If you have confirmed your address already, all is well: sign in with the program you use. Otherwise have a new link sent.",
        "Si ya confirmó su dirección, todo está bien: inicie sesión en el programa que usa. Si no, pida un enlace nuevo.",
    ),
    "dead_link.password": Text(
        "If you have set your new password already, all is well: sign in with the program you use. Otherwise have a new link sent.",
        "Si ya guardó su contraseña nueva, todo está bien: inicie sesión en el programa que usa. Si no, pida un enlace nuevo.",
    ),
    "dead_link.email": Text(
        "If your account has the new address already, all is well. Otherwise sign in with the program you use, and ask for the change once more.",
        "Si su cuenta ya tiene la dirección nueva, todo está bien. Si no, inicie sesión en el programa que usa y pida el cambio otra vez.",
    ),
    "dead_link.share": Text(
        "If you have accepted or declined already, all is well: what you accepted is in the program you use. Otherwise ask whoever shares it to share it again.",
        "Si ya aceptó o rechazó, todo está bien: lo que aceptó está en el programa que usa. Si no, pida a quien lo comparte que vuelva a compartirlo.",
    ),
    "dead_link.join": Text(
        "If you have accepted the invitation already, all is well: sign in with the program you use. Otherwise ask the organization to send its invitation again.",
        "Si ya aceptó la invitación, todo está bien: inicie sesión en el programa que usa. Si no, pida a la organización que envíe otra vez su invitación.",
    ),
    "dead_link.invited": Text(
        "If you have chosen a password already, all is well: sign in, and you see your invitation. Otherwise ask whoever invited you to send the mail again.",
        "Si ya eligió una contraseña, todo está bien: inicie sesión y verá su invitación. Si no, pida a quien le invitó que envíe el correo otra vez.",
    ),
    "unknown_code.title": Text("This code doesn't work", "Este código no sirve"),
    "unknown_code.text": Text(
        "There is no open invitation with this code. Perhaps a letter was mistyped; perhaps the code was used, has expired, or is locked after five wrong answers. Nothing was changed.",
        "No hay ninguna invitación abierta con este código. Quizá se escribió mal una letra; quizá el código ya se usó, ha caducado o se bloqueó después de cinco respuestas equivocadas. No se ha cambiado nada.",
    ),
    "unknown_code.ask": Text(
        "If it is as it stands on the paper, ask the clinic that gave it to you: it can issue a new one.",
        "Si es tal como está en el papel, pregunte a la clínica que se lo dio: puede emitir uno nuevo.",
    ),
    "unknown_code.used": Text(
        "If you have used it already, all is well: sign in, and you see your invitation.",
        "Si ya lo usó usted, todo está bien: inicie sesión y verá su invitación.",
    ),
    "unknown_code.again": Text("Enter the code again", "Escribir otra vez el código"),
    "fhir_server_wrong.title": Text("The FHIR server gave no usable answer", "El servidor FHIR no dio una respuesta útil"),
    "fhir_server_wrong.text": Text(
        "Nothing was changed. Whoever administers your organization here can test the FHIR server.",
        "No se ha cambiado nada. Quien administra aquí su organización puede probar el servidor FHIR.",
    ),
    "form.title": Text("Please open this form again", "Por favor, abra otra vez este formulario"),
    "form.text": Text(
        "We couldn't tell whether this form came from our own page: it was open for long, or in two windows, or your browser keeps no cookies for this place. Nothing was changed.",
        "No pudimos comprobar que este formulario viniera de nuestra página: llevaba mucho tiempo abierto, estaba en dos ventanas o su navegador no guarda cookies de este sitio. No se ha cambiado nada.",
    ),
    "unreadable.title": Text("This form can't be read", "Este formulario no se puede leer"),
    "unreadable.text": Text(
        "What arrived is not what our page sends. Nothing was changed. Please open the page again.",
        "Lo que llegó no es lo que envía nuestra página. No se ha cambiado nada. Por favor, abra otra vez la página.",
    ),
    "too_large.title": Text("This is too much text", "Es demasiado texto"),
    "too_large.text": Text(
        "Our forms are small, and what arrived is not. Nothing was changed.",
        "Nuestros formularios son pequeños, y lo que llegó no lo es. No se ha cambiado nada.",
    ),
    "disabled.title": Text("This account is disabled", "Esta cuenta está desactivada"),
    "disabled.text": Text(
        "Whoever runs this server has disabled it. Please ask there.",
        "La desactivó quien opera este servidor. Por favor, pregunte allí.",
    ),
    "forbidden.title": Text("This is not possible here", "Esto no es posible aquí"),
    "forbidden.text": Text(
        "This page can't do that for you. Nothing was changed.",
        "Esta página no puede hacer eso por usted. No se ha cambiado nada.",
    ),
    "conflict.title": Text("This can't be done as things stand", "Ahora mismo no se puede hacer"),
    "conflict.text": Text(
        "Something has changed in the meantime. Nothing more was changed.",
        "Algo ha cambiado entretanto. No se ha cambiado nada más.",
    ),
    "busy.title": Text("Please wait a moment", "Espere un momento, por favor"),
    "busy.text": Text(
        "There were many tries in a short time. Nothing is lost and nothing was changed: please try again in {wait}.",
        "Hubo muchos intentos en poco tiempo. No se ha perdido ni cambiado nada: por favor, inténtelo otra vez dentro de {wait}.",
    ),
    "unavailable.title": Text("We can't answer at the moment", "Ahora mismo no podemos responder"),
    "unavailable.text": Text(
        "Something on our side is away. Your link stays good: please try again in {wait}.",
        "Algo de nuestro lado no responde. Su enlace sigue sirviendo: por favor, inténtelo otra vez dentro de {wait}.",
    ),
    "wait.seconds": Text("{count} seconds", "{count} segundos"),
    "wait.minutes": Text("{count} minutes", "{count} minutos"),
    "not_found.title": Text("There is no such page", "No existe esta página"),
    "not_found.text": Text(
        "If you followed a link from a mail, copy the whole link from it and try again.",
        "Si siguió un enlace de un correo, copie el enlace completo e inténtelo otra vez.",
    ),
    "method.title": Text("This page can't be used like that", "Esta página no se puede usar así"),
    "method.text": Text("Please open it from the start.", "Por favor, ábrala desde el inicio."),
    "internal.title": Text("Something went wrong on our side", "Algo falló de nuestro lado"),
    "internal.text": Text(
        "We are sorry. Please try again later. If you tell somebody about it, this number helps: {request_id}.",
        "Lo sentimos. Por favor, inténtelo más tarde. Si se lo cuenta a alguien, este número ayuda: {request_id}.",
    ),
}  # fmt: skip


def text(key: str, language: Language, /, **values: object) -> Markup:
    """Return a text as HTML, with values filled in; they are escaped, and their direction of writing is their own."""
    written = TEXTS[key].spanish if language is Language.SPANISH else TEXTS[key].english
    filled = {name: Markup("<bdi>{}</bdi>").format(value) for name, value in values.items()}
    return escape(written).format(**filled)
