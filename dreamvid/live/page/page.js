"use strict";
// One socket: frames come in as JPEG, figures as JSON; what is played goes out as [NAME, VALUE …].

const at = (id) => document.getElementById(id);
const picture = at("picture"), pen = picture.getContext("2d");
const SVG = "http://www.w3.org/2000/svg";
const SWEEP = 270; // degrees of a knob
const HANDS_OFF_MS = 400; // a control that was just moved does not follow the server

let socket = null, wipe = 0, state = null, beat = { at: 0, phase: 0, bpm: 0 };
let drawn = 0; // frames drawn; a test reads it
let bitmaps = [null, null];
const knobs = new Map(), strips = new Map(), touched = new Map();
window.dreamvid = { get drawn() { return drawn; }, get state() { return state; } };

function send(...message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect() {
  socket = new WebSocket(new URL("socket", location.href.replace(/^http/, "ws")));
  socket.binaryType = "blob";
  socket.onopen = () => { document.body.classList.remove("is-lost"); send("source", wipe > 0); };
  socket.onclose = () => { document.body.classList.add("is-lost"); setTimeout(connect, 1000); };
  socket.onmessage = (event) => {
    if (event.data instanceof Blob) receive(event.data);
    else follow(JSON.parse(event.data));
  };
}

// The picture

async function receive(blob) {
  try {
    const length = new DataView(await blob.slice(0, 4).arrayBuffer()).getUint32(0);
    const parts = [blob.slice(4, 4 + length), blob.slice(4 + length)];
    const made = await Promise.all(parts.map((part) => part.size
      ? createImageBitmap(new Blob([part], { type: "image/jpeg" })) : null));
    bitmaps.forEach((old) => old && old.close());
    bitmaps = made;
    draw();
    drawn += 1;
  } finally {
    send("seen");
  }
}

function draw() {
  const [dream, source] = bitmaps;
  if (!dream) return;
  if (picture.width !== dream.width || picture.height !== dream.height) {
    picture.width = dream.width;
    picture.height = dream.height;
    placeWipe();
  }
  pen.drawImage(dream, 0, 0);
  const width = Math.round(wipe * picture.width), part = width / picture.width;
  if (source && width) pen.drawImage(source, 0, 0, part * source.width, source.height, 0, 0, width, picture.height);
}

function shownBox() { // where the picture lies within its letterboxed element
  const box = picture.getBoundingClientRect();
  const scale = Math.min(box.width / picture.width, box.height / picture.height);
  const width = picture.width * scale;
  return { left: box.left + (box.width - width) / 2, width };
}

function placeWipe() {
  const box = shownBox(), stage = at("stage").getBoundingClientRect();
  at("wipe").style.left = `${box.left - stage.left + wipe * box.width}px`;
}

function setWipe(share) {
  const had = wipe > 0;
  wipe = Math.min(1, Math.max(0, share));
  if (wipe > 0 !== had) send("source", wipe > 0);
  at("wipe").setAttribute("aria-valuenow", Math.round(100 * wipe));
  placeWipe();
  draw();
}

dragged(at("wipe"), (event) => {
  const box = shownBox();
  setWipe((event.clientX - box.left) / box.width);
});
addEventListener("resize", placeWipe);

// What the server tells

function follow(message) {
  if (message.error) return tell(message.error, true);
  if (message.presets) return greet(message);
  const lines = state ? state.lines : message.lines;
  state = message;
  if (message.lines.join() !== lines.join()) tell(message.lines.at(-1));
  if (message.film) return watch(message.film);
  const names = message.numbers.map((number) => number.name).join();
  if (follow.names !== names) {
    follow.names = names;
    build(message.numbers);
  }
  for (const number of message.numbers) update(number, message);
  const figures = message.figures;
  at("rate").textContent = figures.rate.toFixed(1);
  at("dreams").textContent = figures.dream_rate.toFixed(1);
  at("delay").textContent = Math.round(figures.delay_ms);
  at("bpm").textContent = message.bpm ? message.bpm.toFixed(1) : "–";
  document.body.classList.toggle("is-recording", message.recording);
  beat = { at: performance.now(), phase: message.beat, bpm: message.bpm || 0 };
}

function watch(film) { // one that is being made
  document.body.classList.add("is-watching");
  document.body.classList.toggle("is-whole", film.is_whole);
  at("doing").textContent = (film.stage || "frame").toUpperCase();
  at("done").textContent = film.stage ? `${film.done}${film.total ? ` of ${film.total}` : ""}` : "–";
  at("each").textContent = film.each_s > 0.01 ? shown(film.each_s) : "–";
  at("left").textContent = film.left_s === null ? "–" : clock(film.left_s);
  at("similarity").textContent = film.after === null ? "–" : `${film.before.toFixed(3)} → ${film.after.toFixed(3)}`;
  at("course").firstChild.style.width = `${100 * clamp(film.done / film.total)}%`;
}

function clock(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const minutes = `${two(seconds / 60 % 60)}:${two(seconds % 60)}`;
  return seconds < 3600 ? minutes : `${Math.floor(seconds / 3600)}:${minutes}`;
}

function greet(message) {
  at("source-name").textContent = `${message.source}  ${message.size ? message.size.join("×") : ""}`;
  at("presets").replaceChildren(...message.presets.map((name) => {
    const button = element("button", "", name);
    button.onclick = () => {
      send("preset", name);
      for (const other of at("presets").children) other.classList.toggle("is-on", other === button);
    };
    return button;
  }));
}

function tell(line, isError = false) {
  if (!line) return;
  const output = at("line");
  output.textContent = line;
  output.className = isError ? "is-on is-error" : "is-on";
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => output.classList.remove("is-on"), 5000);
}

function lamp() {
  const phase = beat.phase + (performance.now() - beat.at) / 60000 * beat.bpm;
  const since = phase - Math.floor(phase);
  at("beat").style.opacity = beat.bpm ? 0.12 + 0.88 * Math.exp(-5 * since) : 0.12;
  requestAnimationFrame(lamp);
}

// Controls

function build(numbers) {
  knobs.clear();
  strips.clear();
  const isWeight = (number) => /\d$/.test(number.name);
  at("strips").replaceChildren(...numbers.filter(isWeight).map(strip));
  at("knobs").replaceChildren(metal(), ...numbers.filter((number) => !isWeight(number)).map(knob));
}

function update(number, message) {
  const control = knobs.get(number.name) || strips.get(number.name);
  if (!control) return;
  control.root.classList.toggle("is-held", message.held.includes(number.name));
  control.root.classList.toggle("is-following", message.following.includes(number.name));
  if (performance.now() - (touched.get(number.name) || -1e9) > HANDS_OFF_MS) {
    control.show(message.values[number.name] ?? number.default);
  }
}

function play(number, control, value) {
  touched.set(number.name, performance.now());
  control.show(value);
  play.waiting.set(number.name, value);
  if (play.waiting.size === 1) requestAnimationFrame(() => {
    for (const [name, last] of play.waiting) send(name, last);
    play.waiting.clear();
  });
}
play.waiting = new Map();

// A turn from 0 to 1 and its value: finer around the default, which is in the middle of its reach.

function scale({ least, most, default: home, is_whole }) {
  const span = most - least, round = (value) => is_whole ? Math.round(value) : value;
  const power = (share) => Math.min(16, Math.max(1, Math.log(share) / Math.log(0.5)));
  if (least < 0 && most > 0) return {
    value: (turn) => round(most * Math.sign(turn - 0.5) * Math.abs(2 * turn - 1) ** 3),
    turn: (value) => 0.5 + 0.5 * Math.sign(value) * Math.abs(value / most) ** (1 / 3),
  };
  const share = (home - least) / span;
  if (share > 0.5) {
    const bend = power(share < 1 ? 1 - share : 0.125);
    return {
      value: (turn) => round(most - span * (1 - turn) ** bend),
      turn: (value) => 1 - ((most - value) / span) ** (1 / bend),
    };
  }
  const bend = power(share > 0 ? share : span > 10 ? 1e-3 : 0.25);
  return {
    value: (turn) => round(least + span * turn ** bend),
    turn: (value) => ((value - least) / span) ** (1 / bend),
  };
}

const shown = (value) => value === 0 ? "0"
  : Math.abs(value) >= 100 ? value.toFixed(0) : `${Number(value.toPrecision(3))}`;

function knob(number) {
  const root = element("div", "knob"), svg = node("svg", { viewBox: "0 0 72 72" });
  const arc = node("path", { class: "arc" }), hand = node("line", { class: "hand", x1: 36, y1: 14, x2: 36, y2: 24 });
  const output = element("output"), free = element("button", "", "release"), law = scale(number);
  const home = angle(clamp(law.turn(number.default))), zero = number.least < 0 ? 0 : -SWEEP / 2;
  svg.append(
    node("path", { class: "track", d: curve(-SWEEP / 2, SWEEP / 2) }), arc,
    node("line", { class: "home", x1: 36, y1: 1, x2: 36, y2: 5, transform: `rotate(${home} 36 36)` }),
    node("circle", { class: "cap", cx: 36, cy: 36, r: 23 }), hand);
  root.append(svg, output, element("span", "", number.name.replace("-", " ")), free);
  root.title = `${number.help} ${shown(number.least)} to ${shown(number.most)}, from ${shown(number.default)}. Double click: release.`;
  root.tabIndex = 0;
  root.dataset.name = number.name;
  for (const [name, value] of Object.entries({ role: "slider", "aria-label": number.name, "aria-valuemin": number.least, "aria-valuemax": number.most })) root.setAttribute(name, value);
  let turn = 0;
  const control = { root, show(value) {
    turn = clamp(law.turn(value));
    arc.setAttribute("d", curve(Math.min(zero, angle(turn)), Math.max(zero, angle(turn))));
    hand.setAttribute("transform", `rotate(${angle(turn)} 36 36)`);
    output.textContent = shown(value);
    root.setAttribute("aria-valuenow", value);
  } };
  const move = (by) => play(number, control, clamp(law.value(clamp(turn + by)), number.least, number.most));
  let from = null;
  dragged(root, (event) => {
    if (event.target === free) return;
    if (event.type === "pointerdown") from = { y: event.clientY, x: event.clientX, turn };
    const moved = (from.y - event.clientY + event.clientX - from.x) / (event.shiftKey ? 1200 : 220);
    if (moved) { turn = from.turn; move(moved); }
  });
  const release = () => { touched.delete(number.name); send("release", number.name); };
  root.ondblclick = release;
  free.onclick = release;
  root.addEventListener("wheel", (event) => { event.preventDefault(); move(-Math.sign(event.deltaY) / 60); }, { passive: false });
  root.onkeydown = (event) => {
    const by = { ArrowUp: 0.02, ArrowDown: -0.02, PageUp: 0.1, PageDown: -0.1 }[event.key];
    if (by) { event.preventDefault(); move(by); }
    if (event.key === "Delete") release();
  };
  knobs.set(number.name, control);
  control.show(number.default);
  return root;
}

function strip(number) {
  const isPrompt = number.name.startsWith("prompt"), place = Number(number.name.match(/\d+$/)[0]);
  const root = element("div", isPrompt ? "strip" : "strip is-apart"), fader = element("div", "fader"), fill = element("i");
  const output = element("output"), name = element("b", "", isPrompt ? number.help : `${number.name}: ${number.help}`);
  fader.append(fill);
  root.append(name, output, fader);
  root.title = number.help;
  root.dataset.name = number.name;
  if (isPrompt) {
    const go = element("button", "", `${place}`);
    go.title = `Cross over to it (${place})`;
    go.onclick = () => cross(place);
    root.append(go);
  }
  const control = { root, show(value) {
    fill.style.width = `${100 * clamp(value / number.most)}%`;
    output.textContent = value.toFixed(2);
    root.classList.toggle("is-lit", value > 0.01);
  } };
  dragged(fader, (event) => {
    const box = fader.getBoundingClientRect();
    play(number, control, number.most * clamp((event.clientX - box.left) / box.width));
  });
  strips.set(number.name, control);
  control.show(number.default);
  return root;
}

const seconds = () => Math.max(0, Number(at("seconds").value) || 0);
const cross = (place) => send("cross", place, seconds());

at("add").onsubmit = (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text) send("prompt", text, seconds());
  at("text").value = "";
  at("text").blur();
};
at("tap").onpointerdown = () => send("tap");
at("record").onclick = () => send("record", !(state && state.recording));
at("still").onclick = () => send("still");

addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") { if (event.key === "Escape") event.target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key;
  if (/^[1-9]$/.test(key)) cross(Number(key));
  else if (key === " ") send("tap");
  else if (key === "r") at("record").click();
  else if (key === "s") at("still").click();
  else if (key === "p") at("text").focus();
  else if (key === "f") document.fullscreenElement ? document.exitFullscreen() : at("stage").requestFullscreen();
  else if (key === "ArrowLeft") setWipe(wipe - 0.05);
  else if (key === "ArrowRight") setWipe(wipe + 0.05);
  else return;
  event.preventDefault();
});

// Small helpers

function dragged(target, move) {
  target.addEventListener("pointerdown", (event) => {
    if (event.button || event.target.tagName === "BUTTON") return;
    target.setPointerCapture(event.pointerId);
    move(event);
    const end = () => { target.removeEventListener("pointermove", move); };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end, { once: true });
    target.addEventListener("pointercancel", end, { once: true });
  });
}

function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function node(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function metal() { // the gradient of all caps
  const svg = node("svg", { width: 0, height: 0, style: "position:absolute" });
  const gradient = node("linearGradient", { id: "metal", x1: 0, y1: 0, x2: 0, y2: 1 });
  gradient.append(node("stop", { offset: 0, "stop-color": "#3a3f49" }), node("stop", { offset: 1, "stop-color": "#191b20" }));
  svg.append(gradient);
  return svg;
}

const clamp = (value, least = 0, most = 1) => Math.min(most, Math.max(least, value || 0));
const angle = (turn) => (turn - 0.5) * SWEEP;
function curve(from, to) {
  const point = (degrees) => {
    const radians = (degrees - 90) * Math.PI / 180;
    return `${36 + 30 * Math.cos(radians)} ${36 + 30 * Math.sin(radians)}`;
  };
  return `M ${point(from)} A 30 30 0 ${to - from > 180 ? 1 : 0} 1 ${point(to)}`;
}

connect();
lamp();
