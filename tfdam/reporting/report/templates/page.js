"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const places = [...document.querySelectorAll(".chart")];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let drawing = 0;

  // Returns a colour of page.css by its name.
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // Replaces each "@name" in the spec by its colour; data and its names stay as they are.
  const kept = new Set(["data", "datasets", "sort", "domain", "title"]);
  const coloured = (value, key) => {
    if (kept.has(key)) return value;
    if (typeof value === "string") {
      return /^@[a-z]+(-[a-z]+)*[0-9]?$/.test(value) ? colour(value.slice(1)) : value;
    }
    if (Array.isArray(value)) return value.map((item) => coloured(item));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, k)]));
    }
    return value;
  };

  const look = () => {
    const font = getComputedStyle(document.body).fontFamily;
    const text = { labelColor: colour("ink"), titleColor: colour("faint"), labelFontSize: 12,
      titleFontSize: 12, titleFontWeight: "normal", labelFont: font, titleFont: font };
    return {
      background: "transparent",
      font,
      view: { stroke: null },
      axis: { ...text, gridColor: colour("line"), domainColor: colour("line"),
        tickColor: colour("line") },
      legend: { ...text, orient: "top", symbolStrokeWidth: 2, symbolSize: 90 },
      text: { font, fontSize: 12 },
    };
  };

  // One after the other, so that a page with many charts stays responsive.
  const draw = async () => {
    const mine = ++drawing;
    document.documentElement.dataset.charts = "drawing";
    const config = look();
    for (const place of places) {
      if (mine !== drawing) return;
      const height = place.offsetHeight;
      if (height) place.style.minHeight = `${height}px`;
      await vegaEmbed(place, coloured(specs[Number(place.dataset.spec)]), {
        actions: false, renderer: "svg", ast: true, config,
      });
      place.style.minHeight = "";
    }
    if (mine === drawing) document.documentElement.dataset.charts = "drawn";
  };

  if (places.length) {
    draw();
    dark.addEventListener("change", draw);
  } else {
    document.documentElement.dataset.charts = "drawn";
  }

  for (const slider of document.querySelectorAll(".slider")) {
    const input = slider.querySelector("input");
    const pair = slider.querySelector(".pair");
    const show = () => slider.style.setProperty("--at", `${input.value}%`);
    const follow = (event) => {
      const box = pair.getBoundingClientRect();
      input.value = Math.round((100 * (event.clientX - box.left)) / box.width);
      show();
    };
    input.addEventListener("input", show);
    pair.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      pair.setPointerCapture(event.pointerId);
      follow(event);
    });
    pair.addEventListener("pointermove", (event) => {
      if (event.buttons) follow(event);
    });
    show();
  }
})();
