// Passkeys through @simplewebauthn/browser. A button with data-passkey="address of a challenge" fills the hidden field
// `passkey` of its form with the browser's answer and sends the form. A form with data-new-passkey="address of options"
// makes a passkey before it is sent; with data-proof="address of a challenge" and no code typed, a passkey that is there
// already confirms the person first. Errors are shown in the form's element with data-said.
const { browserSupportsWebAuthn, startAuthentication, startRegistration } = globalThis.SimpleWebAuthnBrowser;
const isOffered = browserSupportsWebAuthn() && isSecureContext && !/^[\d.]+$|:/.test(location.hostname);

const say = (form, text) => {
  const said = form.querySelector("[data-said]");
  said.textContent = text;
  said.hidden = !text;
};

const reasons = {
  NotAllowedError: "The browser gave no passkey: it was cancelled, or took too long.",
  InvalidStateError: "This device has a passkey of this account already.",
  SecurityError: "Passkeys need HTTPS and the server's own name.",
};

async function ask(form, address, fields) {
  const answer = await fetch(address, { method: "POST", body: new URLSearchParams(fields), headers: { Accept: "application/json" } });
  if (answer.redirected || answer.status === 401) return location.reload();
  if (!answer.ok) throw new Error(answer.headers.get("Content-Type")?.startsWith("text/plain") ? await answer.text() : "The server refused. Reload the page and try again.");
  return answer.json();
}

async function fill(form, address, fields, start) {
  say(form, "");
  try {
    const optionsJSON = await ask(form, address, typeof fields === "function" ? await fields() : fields);
    if (!optionsJSON) return;
    form.elements.passkey.value = JSON.stringify(await start({ optionsJSON }));
    form.submit();
  } catch (error) {
    say(form, reasons[error.name] ?? error.message);
  }
}

const token = (form) => ({ csrf_token: form.elements.csrf_token?.value ?? "" });

globalThis.bindTo("data-passkey", (button) => {
  button.hidden = !isOffered;
  button.addEventListener("click", () => fill(button.form, button.dataset.passkey, token(button.form), startAuthentication));
});

globalThis.bindTo("data-new-passkey", (form) => {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { name, password, mfa_code: code } = form.elements;
    const { newPasskey, proof } = form.dataset;
    const fields = async () => {
      const typed = { ...token(form), name: name.value, password: password.value };
      if (!proof) return typed;
      if (code.value) return { ...typed, mfa_code: code.value };
      const answer = await startAuthentication({ optionsJSON: await ask(form, proof, token(form)) });
      return { ...typed, passkey: JSON.stringify(answer) };
    };
    fill(form, newPasskey, fields, startRegistration);
  });
});

globalThis.bindTo("data-needs-passkeys", (element) => { element.hidden = !isOffered; });
globalThis.bindTo("data-no-passkeys", (element) => { element.hidden = isOffered; });
