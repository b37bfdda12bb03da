// A list of time zones with data-browser-zone begins at the browser's own, unless something is chosen already.
globalThis.bindTo("data-browser-zone", (select) => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!select.value && [...select.options].some((option) => option.value === own)) select.value = own;
});
