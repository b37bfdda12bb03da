// Settings of the survey, and the prompt of an audio survey (SURVEY-10, SURVEY-17).
import { html } from "../../vendor/preact.js";
import { Finding } from "./parts.js";

const BIT_RATES = [32000, 64000, 96000, 128000];
const SAMPLE_RATES = [16000, 22050, 44100];

export function SettingsEditor({ designer }) {
  const { settings, isAudio } = designer;
  const set = (values, key) => designer.setSettings(values, key);
  const tick = (name, label, hint) => html`<div><label class="tick-line"><input type="checkbox" checked=${settings[name] === true} onChange=${({ currentTarget }) => set({ [name]: currentTarget.checked })} /> ${label}</label>${hint && html`<p class="hint small quiet">${hint}</p>`}</div>`;
  return html`<section class="card" aria-labelledby="settings-head"><header><h2 id="settings-head">Settings</h2></header>
    <div class="body stack-4">
      ${designer.findings.filter((finding) => finding.kind === "bad_settings").map((finding) => html`<${Finding} finding=${finding} />`)}
      ${tick("trigger_on_first_download", "Ask as soon as it reaches a phone", "Android asks once. iOS asks again whenever anything of the survey changes, its times included.")}
      ${tick("always_available", "Always on the app’s main page", "Participants may answer it whenever they like, as often as they like.")}
      ${isAudio ? html`<${Recording} settings=${settings} set=${set} />` : html`<${Shuffling} settings=${settings} set=${set} tick=${tick} />`}
    </div></section>`;
}

function Shuffling({ settings, set, tick }) {
  const count = settings.number_of_random_questions;
  return html`${tick("randomize", "Questions in random order", "Conditions are not obeyed then.")}
    ${settings.randomize === true && html`${tick("randomize_with_memory", "No question again until all were asked")}
      <div class="field"><label for="random-count">Questions asked each time</label>
        <input class="input" id="random-count" inputmode="numeric" placeholder="all" value=${count ?? ""}
          onInput=${({ currentTarget: { value } }) => set({ number_of_random_questions: value.trim() === "" ? null : /^\d+$/.test(value.trim()) ? Number(value) || null : value.trim() }, "count")} />
        <span class="hint">Empty: all of them.</span></div>`}`;
}

function Recording({ settings, set }) {
  const isRaw = settings.audio_survey_type === "raw";
  const [name, rates, unit] = isRaw ? ["sample_rate", SAMPLE_RATES, "Hz"] : ["bit_rate", BIT_RATES, "bits per second"];
  const rate = settings[name] ?? (isRaw ? 44100 : 64000);
  return html`<div class="field"><label for="recording-type">Recording</label>
      <select class="input" id="recording-type" onChange=${({ currentTarget }) => set({ audio_survey_type: currentTarget.value })}>
        <option value="compressed" selected=${!isRaw}>compressed</option><option value="raw" selected=${isRaw}>raw, much larger files</option></select></div>
    <div class="field"><label for="recording-rate">${isRaw ? "Sample rate" : "Bit rate"}</label>
      <select class="input" id="recording-rate" onChange=${({ currentTarget }) => set({ [name]: Number(currentTarget.value) })}>
        ${rates.map((value) => html`<option value=${value} selected=${value === rate}>${value.toLocaleString("en")} ${unit}</option>`)}
        ${!rates.includes(rate) && html`<option value=${rate} selected>${String(rate)}</option>`}</select></div>`;
}

export function PromptEditor({ designer }) {
  const prompt = designer.questions[0]?.prompt ?? "";
  return html`<section class="card" aria-labelledby="prompt-head"><header><h2 id="prompt-head">Prompt</h2></header>
    <div class="body stack-4">${designer.findings.filter((finding) => finding.kind !== "bad_settings").map((finding) => html`<${Finding} finding=${finding} />`)}
      <div class="field"><label for="prompt">What the participant is asked to say</label>
      <textarea class="input" id="prompt" dir="auto" value=${prompt} onInput=${({ currentTarget }) => designer.setPrompt(currentTarget.value)}></textarea></div></div></section>`;
}
