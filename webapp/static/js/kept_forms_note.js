// On the sign-in page: a form that was sent or being filled in when the session ended waits in this tab (kept_forms.js).
if (sessionStorage.getItem("kept-form")) {
  sessionStorage.setItem("kept-form-interrupted", "yes");
  document.getElementById("kept-note").hidden = false;
}
