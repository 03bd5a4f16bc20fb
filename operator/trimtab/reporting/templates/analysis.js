"use strict";
(() => {
  const table = document.getElementById("workloads");
  const bodies = Array.from(table.tBodies);
  const filter = document.getElementById("filter");
  const sort = document.getElementById("sort");
  const shown = document.getElementById("shown");
  const drawn = new Map();
  let plots = null;

  const plotOf = (index) => (plots ??= JSON.parse(document.getElementById("plots").textContent))[index];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const range = (start, step, count) => Array.from({ length: count }, (_, i) => start + i * step);
  const figure = (value) => (value == null ? "–" : String(+value.toPrecision(4)));
  const mebibytes = (value) => (value == null ? "–" : (value >= 2 ** 30 && value % 2 ** 29 === 0 ? value / 2 ** 30 + "Gi" : Math.round(value / 2 ** 20) + "Mi"));
  const millicores = (value) => (value == null ? "–" : value < 1 ? Math.round(value * 1000) + "m" : figure(value));

  const BINARY = range(20, 1, 24).map((power) => 2 ** power);
  const utc = (seconds) => new Date(seconds * 1000).toISOString();
  const clock = (_, ticks, __, ___, step) => ticks.map((tick, i) => {
    const [day, hour] = [utc(tick).slice(5, 10), utc(tick).slice(11, 16)];
    if (step >= 86400) return day;
    return i === 0 || utc(ticks[i - 1]).slice(5, 10) !== day ? hour + "\n" + day : hour;
  });

  const marks = (anomalies, until) => ({
    hooks: {
      drawClear: (u) => {
        u.ctx.save();
        u.ctx.fillStyle = colour("mark");
        for (const [start, end] of anomalies) {
          const left = u.valToPos(Math.max(start, u.scales.x.min), "x", true);
          const right = u.valToPos(Math.min(end ?? until, u.scales.x.max), "x", true);
          if (right >= left) u.ctx.fillRect(left - 2, u.bbox.top, right - left + 4, u.bbox.height);
        }
        u.ctx.restore();
      },
    },
  });

  const chart = (parent, title, times, lines, options) => {
    const box = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    box.append(caption);
    parent.append(box);
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    const write = options.write ?? figure;
    const settings = {
      width: Math.max(box.clientWidth, 280),
      height: options.height,
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 1) * 1.05 || 1] } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      axes: [{ ...axis, values: clock }, { ...axis, size: 64, incrs: options.incrs, values: (_, ticks) => ticks.map(write) }],
      series: [{ label: "UTC", value: (_, time) => (time == null ? "–" : utc(time).slice(0, 16).replace("T", " ")) }, ...lines.map((line) => ({
        label: line.label, stroke: colour(line.colour), width: line.width ?? 1.5, dash: line.dash,
        value: (_, value) => write(value), points: { show: false },
      }))],
      bands: options.bands ?? [],
      plugins: options.plugins ?? [],
      cursor: { drag: { x: true, y: false } },
    };
    return { box, plot: new uPlot(settings, [times, ...lines.map((line) => line.values)], box) };
  };

  const draw = (body) => {
    const index = Number(body.dataset.index);
    const data = plotOf(index);
    const parent = body.querySelector(".plots");
    if (!data || !parent || drawn.has(index)) return;
    const past = range(data.s, data.d, data.y.length);
    const ahead = range(data.as, data.ad, data.f.length);
    const none = (count) => Array(count).fill(null);
    const after = (values) => none(past.length).concat(values);
    const made = [chart(parent, "Demand in " + data.unit + ", forecast with its interval, anomalies in red", past.concat(ahead), [
      { label: "demand", colour: "demand", values: data.y.concat(none(ahead.length)) },
      { label: "upper", colour: "ahead", width: 0.5, values: after(data.u) },
      { label: "lower", colour: "ahead", width: 0.5, values: after(data.l) },
      { label: "forecast", colour: "ahead", width: 2, values: after(data.f) },
    ], {
      height: 260,
      bands: [{ series: [2, 3], fill: colour("band") }],
      plugins: [marks(data.x, past[past.length - 1])],
    })];
    const used = range(data.us, data.ud, data.c.length);
    const level = (value) => (value == null ? null : Array(used.length).fill(value));
    for (const [title, values, [request, recommended], write, incrs, odd] of [
      ["CPU a pod against its request", data.c, data.cpu, millicores, undefined, []],
      ["Memory of the largest pod against its request", data.m.map((value) => (value == null ? null : value * 2 ** 20)), data.memory, mebibytes, BINARY, data.mx],
    ]) {
      const lines = [{ label: "used", colour: "demand", values }];
      if (request != null) lines.push({ label: "request", colour: "request", dash: [6, 4], values: level(request) });
      if (recommended != null) lines.push({ label: "recommended", colour: "recommended", dash: [2, 3], values: level(recommended) });
      made.push(chart(parent, title, used, lines, { height: 180, write, incrs, plugins: [marks(odd, used[used.length - 1])] }));
    }
    drawn.set(index, made);
  };

  const redraw = () => {
    for (const [index, made] of drawn) {
      made.forEach(({ box, plot }) => { plot.destroy(); box.remove(); });
      drawn.delete(index);
      draw(bodies.find((body) => Number(body.dataset.index) === index));
    }
  };

  const toggle = (body, open) => {
    body.querySelector(".detail").hidden = !open;
    body.querySelector(".open").setAttribute("aria-expanded", String(open));
    if (open) draw(body);
  };

  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const body of bodies) {
      const text = (body.dataset.name + " " + body.dataset.advice).toLowerCase();
      body.hidden = !words.every((word) => text.includes(word));
      count += body.hidden ? 0 : 1;
    }
    shown.textContent = count + " of " + bodies.length;
  };

  const order = (key, falling) => {
    const value = (body) => body.dataset[key];
    const numeric = key !== "name" && key !== "advice";
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const found = numeric ? Number(x) - Number(y) : x.localeCompare(y);
      return falling ? -found : found;
    };
    bodies.sort((a, b) => compare(a, b) || Number(a.dataset.index) - Number(b.dataset.index));
    table.append(...bodies);
    for (const button of table.tHead.querySelectorAll("button")) {
      if (button.dataset.key === key) button.dataset.order = falling ? "-" : "+";
      else delete button.dataset.order;
    }
  };

  for (const body of bodies) toggle(body, false);
  table.addEventListener("click", (event) => {
    const head = event.target.closest("thead button");
    if (head) return order(head.dataset.key, head.dataset.order === "+");
    const row = event.target.closest(".row");
    if (row) {
      const body = row.parentElement;
      toggle(body, body.querySelector(".detail").hidden);
    }
  });
  filter.addEventListener("input", apply);
  filter.form.addEventListener("submit", (event) => event.preventDefault());
  sort.addEventListener("change", () => order(sort.value.replace("-", "") || "name", sort.value.endsWith("-")));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const made of drawn.values()) {
        for (const { box, plot } of made) plot.setSize({ width: Math.max(box.clientWidth, 280), height: plot.height });
      }
    }, 150);
  });
  apply();
})();
