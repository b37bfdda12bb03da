// Small parts that the designer's views share.
import { html } from "../../vendor/preact.js";

let sprite = "";
export const useSprite = (address) => { sprite = address; };
export const Icon = ({ name }) => html`<svg class="icon" aria-hidden="true"><use href=${`${sprite}#${name}`} /></svg>`;

export const IconButton = ({ icon, label, onClick, disabled = false, danger = false, data = {} }) => html`
  <button type="button" class=${`button plain icon-only${danger ? " is-danger" : ""}`} aria-label=${label} title=${label}
    aria-disabled=${disabled} onClick=${disabled ? undefined : onClick} ...${data}><${Icon} name=${icon} /></button>`;

export const Finding = ({ finding }) => html`
  <p class=${`note ${finding.level === "error" ? "bad" : "warn"}`}>
    <${Icon} name=${finding.level === "error" ? "circle-alert" : "triangle-alert"} /><span>${finding.message}</span></p>`;

// Says something to screen readers, and moves nothing.
export const say = (text) => { document.getElementById("said").textContent = text; };
