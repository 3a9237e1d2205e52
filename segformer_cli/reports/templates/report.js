"use strict";
/* The page is complete without this file; it adds sorting, values under the pointer, and the choice of light or dark. */
(() => {
  const root = document.documentElement;
  const THEME = "segformer-report-theme";

  /* A file:// page may be denied a memory. */
  const remembered = () => { try { return localStorage.getItem(THEME); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(THEME, theme); } catch { /* for this visit only */ } };

  /* At once, before anything is painted. */
  const chosen = remembered();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  function themeSwitch(button) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
    const other = () => (current() === "dark" ? "light" : "dark");
    const name = () => {
      button.textContent = other();
      button.setAttribute("aria-label", `${other()} colours`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = other();
      remember(root.dataset.theme);
      name();
    });
    system.addEventListener("change", name);
    name();
    button.hidden = false;
  }

  /* Tables: heads become buttons. A click sorts, the next turns round, the third gives back the first order. Cells without a value are last. */
  function sortable(table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const gap = body.querySelector(".gap");
    const heads = [...[...table.tHead.rows].at(-1).cells];

    function sort(column, order) {
      const numeric = heads[column].classList.contains("n");
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => (numeric ? Number(row.cells[column].dataset.v) : row.cells[column].textContent.trim());
      const missing = (row) => "missing" in row.cells[column].dataset;
      const rows = original.filter((row) => row !== gap);
      rows.sort((a, b) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        const [one, two] = [value(a), value(b)];
        return sign * (numeric ? one - two : one.localeCompare(two, undefined, { numeric: true }));
      });
      body.replaceChildren(...rows);
    }

    function asButton(head) {
      const button = document.createElement("button");
      button.type = "button";
      /* Buttons are not repeated on each printed page, the style sheet prints this instead. */
      head.dataset.title = head.textContent;
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      return button;
    }

    heads.forEach((head, column) => asButton(head).addEventListener("click", () => {
      const turns = head.classList.contains("n") ? ["descending", "ascending"] : ["ascending", "descending"];
      const next = [...turns, "none"][turns.indexOf(head.getAttribute("aria-sort")) + 1];
      heads.forEach((one) => one.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      if (next === "none") body.replaceChildren(...original);
      else sort(column, next);
    }));
  }

  /* Wide tables: an edge beyond which more lies is marked, and what scrolls can be reached by the keyboard. */
  function edges(frame) {
    const box = frame.firstElementChild;
    const always = box.matches(".grid-box, .heat");
    function mark() {
      const beyond = box.scrollWidth - box.clientWidth;
      frame.toggleAttribute("data-left", box.scrollLeft > 1);
      frame.toggleAttribute("data-right", beyond - box.scrollLeft > 1);
      const scrolls = beyond > 1 || box.scrollHeight - box.clientHeight > 1;
      if (scrolls || always) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
    box.addEventListener("scroll", mark, { passive: true });
    const observer = new ResizeObserver(mark);
    observer.observe(box);
    observer.observe(box.firstElementChild);
    mark();
  }

  /* One tip for the whole page, beside the pointer and inside the window. */
  let tip;
  function show(text, x, y) {
    if (tip.textContent !== text) tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = x + 14 + width > innerWidth ? x - 14 - width : x + 14;
    const top = y + 14 + height > innerHeight ? y - 14 - height : y + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  }
  const hide = () => { tip.hidden = true; };

  /* Charts: the mark nearest to the pointer speaks. Without script its title does. */
  function speaking(chart) {
    const marks = [...chart.querySelectorAll("[data-mark]")].map((element) => {
      const title = element.querySelector("title");
      title.remove();
      return { element, text: title.textContent };
    });
    chart.querySelector(":scope > title")?.remove();
    const byColumn = chart.dataset.nearest === "x";
    let lit;
    const unlit = () => { lit?.element.classList.remove("lit"); lit = undefined; };

    function nearest(x, y) {
      let best, least = Infinity;
      for (const mark of marks) {
        const box = mark.element.getBoundingClientRect();
        const dx = x - (box.left + box.width / 2);
        const dy = byColumn ? 0 : y - (box.top + box.height / 2);
        if (dx * dx + dy * dy < least) [best, least] = [mark, dx * dx + dy * dy];
      }
      return least < 60 * 60 ? best : undefined;
    }

    function point(event) {
      const mark = nearest(event.clientX, event.clientY);
      if (mark !== lit) unlit();
      if (!mark) return hide();
      lit = mark;
      mark.element.classList.add("lit");
      show(mark.text, event.clientX, event.clientY);
    }
    chart.addEventListener("pointermove", point);
    chart.addEventListener("pointerdown", point);
    chart.addEventListener("pointerleave", () => { unlit(); hide(); });
  }

  /* Heat maps: the cell under the pointer, or the one the arrow keys have reached. */
  function heatMap(frame) {
    const { names, counts, counted, cell } = JSON.parse(frame.querySelector("script").textContent);
    const K = names.length;
    const sheet = frame.querySelector(".sheet");
    const [across, down] = frame.querySelectorAll(".cross");
    frame.querySelector("svg > title").remove();
    const totals = names.map((_, row) => {
      let total = 0;
      for (let column = 0; column < K; column += 1) total += counts[row * K + column];
      return total;
    });
    const place = (rect, x, y, width, height) => {
      Object.entries({ x, y, width, height }).forEach(([key, value]) => rect.setAttribute(key, value * cell));
      rect.removeAttribute("hidden");
    };
    const leave = () => { hide(); [across, down].forEach((rect) => rect.setAttribute("hidden", "")); };

    function share(count, total) {
      if (!total) return `no ${counted} of this class`;
      const percent = (100 * count) / total;
      return `${percent.toFixed(percent && percent < 0.095 ? 4 : 2)} % of ${total.toLocaleString("en")}`;
    }

    function say(row, column, x, y) {
      const count = counts[row * K + column];
      place(across, 0, row, K, 1);
      place(down, column, 0, 1, K);
      const text = `true: ${names[row]}\npredicted: ${names[column]}\n`
        + `${count.toLocaleString("en")} ${counted}, ${share(count, totals[row])}`;
      show(text, x, y);
    }

    let at = [0, 0];
    function point(event) {
      const box = sheet.getBoundingClientRect();
      const row = Math.floor(((event.clientY - box.top) / box.height) * K);
      const column = Math.floor(((event.clientX - box.left) / box.width) * K);
      if (row < 0 || column < 0 || row >= K || column >= K) return leave();
      at = [row, column];
      say(row, column, event.clientX, event.clientY);
    }
    frame.addEventListener("pointermove", point);
    frame.addEventListener("pointerdown", point);
    frame.addEventListener("pointerleave", leave);
    frame.addEventListener("blur", leave);
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    frame.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave();
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      at = at.map((value, axis) => Math.min(K - 1, Math.max(0, value + step[axis])));
      const box = sheet.getBoundingClientRect();
      const [y, x] = at.map((value, axis) => (axis ? box.left : box.top) + ((value + 0.5) / K) * box.width);
      say(at[0], at[1], x, y);
    });
  }

  /* Grids: the cell under the pointer, or the one the arrow keys have reached, says more than it shows. */
  function grid(frame) {
    const rows = [...frame.querySelectorAll("tbody tr")]
      .map((row) => [...row.querySelectorAll("td[title]")])
      .filter((cells) => cells.length);
    rows.flat().forEach((cell) => {
      cell.setAttribute("aria-label", cell.title);
      cell.removeAttribute("title");
    });
    let lit;
    const leave = () => { lit?.classList.remove("lit"); lit = undefined; hide(); };

    function say(cell, x, y) {
      if (cell !== lit) leave();
      lit = cell;
      cell.classList.add("lit");
      show(cell.getAttribute("aria-label"), x, y);
    }

    function point(event) {
      const cell = event.target.closest("td[aria-label]");
      if (cell) say(cell, event.clientX, event.clientY);
      else leave();
    }
    frame.addEventListener("pointermove", point);
    frame.addEventListener("pointerdown", point);
    frame.addEventListener("pointerleave", leave);
    frame.addEventListener("blur", leave);
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const within = (value, length) => Math.min(length - 1, Math.max(0, value));
    let at = [0, 0];
    frame.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave();
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const row = within(at[0] + step[0], rows.length);
      at = [row, within(at[1] + step[1], rows[row].length)];
      const cell = rows[at[0]][at[1]];
      cell.scrollIntoView({ block: "nearest", inline: "nearest" });
      const box = cell.getBoundingClientRect();
      say(cell, box.left + box.width / 2, box.top + box.height / 2);
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    root.classList.add("js");
    tip = document.getElementById("tip");
    themeSwitch(document.querySelector(".theme"));
    document.querySelectorAll("table.sortable").forEach(sortable);
    document.querySelectorAll(".frame").forEach(edges);
    document.querySelectorAll(".chart, .plot svg").forEach(speaking);
    document.querySelectorAll(".heat").forEach(heatMap);
    document.querySelectorAll(".grid-box").forEach(grid);
  });
})();
