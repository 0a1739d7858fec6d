// The slider between two pictures and the values read from charts. The page shows all data without this script.
"use strict";

function slider(root) {
  const box = root.querySelector(".slider");
  const stage = box.querySelector(".stage");
  const handle = box.querySelector(".handle");
  const [left, right] = ["left", "right"].map((side) => ({
    choice: box.querySelector(`select.${side}`),
    picture: stage.querySelector(side === "left" ? ".over" : ".under"),
    name: stage.querySelector(`.name.${side}`),
  }));
  let at = 50;

  const number = () => box.querySelector("input[type=radio]:checked").value;
  const pictures = () => [...root.querySelectorAll(`.frame[data-frame="${number()}"] img[data-name]`)];
  const move = (place) => {
    at = Math.min(100, Math.max(0, place));
    stage.style.setProperty("--at", `${at}%`);
    handle.setAttribute("aria-valuenow", Math.round(at));
    handle.setAttribute("aria-valuetext", `${Math.round(at)} % ${left.choice.value}`);
  };
  const show = () => {
    const shown = pictures();
    for (const side of [left, right]) {
      const image = shown.find((one) => one.dataset.name === side.choice.value);
      side.picture.src = image.src;
      side.picture.alt = image.alt;
      side.name.textContent = side.choice.value;
    }
    for (const frame of root.querySelectorAll(".frame")) frame.hidden = frame.dataset.frame !== number();
    move(at);
  };

  for (const [place, side] of [left, right].entries()) {
    for (const { dataset } of pictures()) side.choice.add(new Option(dataset.name, dataset.name));
    side.choice.selectedIndex = place;
    side.choice.addEventListener("change", show);
  }
  for (const input of box.querySelectorAll("input[type=radio]")) input.addEventListener("change", show);

  const follow = (event) => {
    const edge = stage.getBoundingClientRect();
    move((100 * (event.clientX - edge.left)) / edge.width);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus({ preventScroll: true });
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  handle.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 1;
    const places = {
      ArrowLeft: at - step, ArrowDown: at - step, ArrowRight: at + step, ArrowUp: at + step,
      PageDown: at - 10, PageUp: at + 10, Home: 0, End: 100,
    };
    if (event.key in places) move(places[event.key]);
    else if (event.key === " ") {
      [left.choice.value, right.choice.value] = [right.choice.value, left.choice.value];
      show();
    } else return;
    event.preventDefault();
  });
  box.hidden = false;
  show();
}

function readings(figure) {
  const plot = figure.querySelector(".plot");
  const stops = JSON.parse(figure.querySelector("script").textContent);
  const add = (name) => plot.appendChild(Object.assign(document.createElement("div"), { className: name, hidden: true }));
  const [line, ring, tip] = ["cursor", "ring", "tip"].map(add);
  tip.setAttribute("role", "status");
  let current = -1;

  const text = (tag, content) => Object.assign(document.createElement(tag), { textContent: content });
  const show = (number) => {
    current = number;
    const [x, y, title, rows] = stops[number];
    line.hidden = y !== null;
    ring.hidden = y === null;
    tip.hidden = false;
    line.style.left = ring.style.left = `${100 * x}%`;
    ring.style.top = `${100 * (y ?? 0)}%`;
    tip.replaceChildren(text("b", title), ...rows.map(([colour, name, value]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("i"), { className: `swatch ${colour}` }), `${name} `, text("strong", value));
      return row;
    }));
    const room = plot.clientWidth;
    const wanted = x * room + (x < 0.5 ? 14 : -14 - tip.offsetWidth);
    tip.style.left = `${Math.max(-30, Math.min(wanted, room - tip.offsetWidth))}px`;
    tip.style.top = y === null ? "0" : `${y < 0.5 ? y * plot.clientHeight + 14 : y * plot.clientHeight - 14 - tip.offsetHeight}px`;
  };
  const hide = () => {
    line.hidden = ring.hidden = tip.hidden = true;
  };
  const nearest = (event) => {
    const edge = plot.getBoundingClientRect();
    const [x, y] = [event.clientX - edge.left, event.clientY - edge.top];
    let [found, least] = [0, Infinity];
    stops.forEach(([left, top], number) => {
      const away = Math.hypot(left * edge.width - x, top === null ? 0 : top * edge.height - y);
      if (away < least) [found, least] = [number, away];
    });
    show(found);
  };
  plot.addEventListener("pointermove", nearest);
  plot.addEventListener("pointerdown", nearest);
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const last = stops.length - 1;
    const next = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: last };
    if (event.key === "Escape") hide();
    else if (event.key in next) show(Math.min(last, Math.max(0, next[event.key])));
    else return;
    event.preventDefault();
  });
}

document.querySelectorAll(".gallery").forEach(slider);
document.querySelectorAll(".chart").forEach(readings);
