// Draws a measure by day with uPlot: a line through observed values, hollow points for imputed ones, and the hours
// observed as bars beneath. Only null breaks a line, so there is no NaN. Arrow keys move the cursor by a day, Page keys
// by a week, Home and End to the ends; the values of that day are written below the chart.
const DAY = 86_400;
const [PLOT_HEIGHT, LANE_HEIGHT, AXIS_WIDTH, LABEL_WIDTH] = [190, 40, 52, 76];
const LABEL_STEPS = [1, 2, 7, 14, 28, 56, 91, 182, 365]; // days
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -7, PageDown: 7, Home: -Infinity, End: Infinity };
const dates = (parts) => new Intl.DateTimeFormat("en-GB", { ...parts, month: "short", timeZone: "UTC" });
const [DATE, SHORT_DATE, MONTH] = [{ day: "numeric", year: "numeric" }, { day: "numeric" }, { year: "numeric" }].map(dates);

// The colour that a custom property has now, in light or dark.
function colourOf(element, property) {
  element.style.color = `var(${property})`;
  return getComputedStyle(element).color;
}

globalThis.bindTo("data-measure-chart", (figure) => {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const place = figure.querySelector("[data-plot]");
  const said = figure.querySelector("[data-said]");
  const probe = figure.appendChild(document.createElement("span"));
  probe.hidden = true;
  const colour = (property) => () => colourOf(probe, property);
  figure.hidden = false;
  figure.parentElement.querySelector("[data-folded]").open = false;

  const start = Date.parse(`${data.first}T00:00:00Z`) / 1000;
  const times = data.people[0].observed.map((_, number) => start + number * DAY);
  const ends = [times[0] - DAY / 2, times.at(-1) + DAY / 2];
  const font = `12px ${getComputedStyle(figure).fontFamily}`;
  const shared = {
    width: place.clientWidth,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, sync: { key: said.id } },
  };
  const axis = { stroke: colour("--ink-3"), font, ticks: { stroke: colour("--line"), size: 4 } };
  const label = times.length > 300 ? MONTH : SHORT_DATE;
  const labelled = (plot) => {
    const step = LABEL_STEPS.find((days) => (times.length / days) * LABEL_WIDTH <= plot.width - AXIS_WIDTH) ?? 730;
    return times.filter((_, day) => day % step === 0);
  };
  const dayAxis = { splits: labelled, values: (_, all) => all.map((time) => label.format(time * 1000)) };
  const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: data.digits });

  const size = times.length > 150 ? 3 : 5;
  const seriesOf = data.people.flatMap((_, index) => {
    const stroke = colour(`--person-${index + 1}`);
    const observed = { stroke, width: 1.75, dash: DASHES[index], points: { show: true, size, fill: stroke, stroke } };
    const hollow = { show: true, size: 8, width: 1.5, fill: colour("--surface"), stroke };
    return [observed, { stroke, paths: () => null, points: hollow }];
  });
  const main = new globalThis.uPlot({
    ...shared,
    height: PLOT_HEIGHT,
    padding: [8, 30, 0, 0],
    scales: {
      x: { time: false, range: () => ends },
      y: { range: (_, least, most) => [0, most > 0 ? most * 1.08 : 1] },
    },
    axes: [
      { ...axis, ...dayAxis, grid: { show: false }, size: 30 },
      {
        ...axis,
        grid: { stroke: colour("--line"), width: 1 },
        size: AXIS_WIDTH,
        space: 34,
        values: (_, all) => all.map((value) => number.format(value)),
      },
    ],
    series: [{}, ...seriesOf],
    hooks: { setCursor: [(plot) => tell(plot.cursor.idx)] },
  }, [times, ...data.people.flatMap((person) => [person.observed, person.imputed])], place);

  const isOne = data.people.length === 1;
  const bars = globalThis.uPlot.paths.bars({ size: [0.7, 24] });
  const lanes = !data.hoursOf ? [] : data.people.map((person, index) => new globalThis.uPlot({
    ...shared,
    height: LANE_HEIGHT,
    padding: [8, 30, 2, 0],
    scales: { x: { time: false, range: () => ends }, y: { range: () => [0, 24] } },
    axes: [
      { show: false },
      {
        ...axis,
        grid: { show: false },
        size: AXIS_WIDTH,
        splits: () => [0, 24],
        values: () => ["", isOne ? "24 h" : index + 1],
      },
    ],
    series: [
      {},
      { width: 0, fill: colour(isOne ? "--cov-3" : `--person-${index + 1}`), paths: bars, points: { show: false } },
      { stroke: colour("--ink-2"), width: 1, dash: [2, 3], points: { show: false } },
    ],
  }, [times, person.hours, times.map(() => data.leastHours)], place));
  const plots = [main, ...lanes];

  function tell(index) {
    if (index === null || index === undefined) return;
    const values = data.people.map(({ id, observed, imputed, hours }) => {
      const value = observed[index] ?? imputed[index];
      const unit = data.unit && ` ${data.unit}`;
      const parts = [value === null ? "no value" : number.format(value) + unit];
      if (value !== null && imputed[index] !== null) parts.push("imputed");
      if (hours[index] !== null) parts.push(`${hours[index].toFixed(1)} h with ${data.hoursOf}`);
      return (isOne ? "" : `${id}: `) + parts.join(", ");
    });
    const text = `${DATE.format(times[index] * 1000)}: ${values.join("; ")}`;
    if (said.textContent !== text) said.textContent = text;
  }

  let current = null;
  place.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const last = times.length - 1;
    const from = current ?? main.cursor.idx ?? (step > 0 ? -1 : last + 1);
    current = Math.min(Math.max(from + step, 0), last);
    for (const plot of plots) plot.setCursor({ left: plot.valToPos(times[current], "x"), top: 10 }, true, false);
    tell(current);
  });
  place.addEventListener("mousemove", () => { current = null; });

  new ResizeObserver(() => {
    const width = place.clientWidth;
    if (!width || width === main.width) return;
    main.setSize({ width, height: PLOT_HEIGHT });
    for (const lane of lanes) lane.setSize({ width, height: LANE_HEIGHT });
  }).observe(place);
  const redraw = () => { for (const plot of plots) plot.redraw(false); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
});
