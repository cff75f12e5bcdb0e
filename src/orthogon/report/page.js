// The page works without this file. It adds: the theme button, marks on mistakes, relabel.csv, and full prints.
(() => {
  "use strict";
  const root = document.documentElement;
  const store = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { /* private window: marks last until it closes */ } },
  };

  // Theme: the reader's system decides until the button or #dark / #light says otherwise.
  const button = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const paint = (theme) => {
    if (theme) root.dataset.theme = theme;
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`);
  };
  const asked = location.hash.slice(1);
  paint(["dark", "light"].includes(asked) ? asked : store.get("orthogon-theme"));
  button.hidden = false;
  button.addEventListener("click", () => {
    paint(dark() ? "light" : "dark");
    store.set("orthogon-theme", root.dataset.theme);
  });

  // Explanations close with Escape; print opens what is folded.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement?.classList.contains("term")) document.activeElement.blur();
  });
  addEventListener("beforeprint", () => document.querySelectorAll("main details:not(.mark)").forEach((d) => { d.open = true; }));

  // Marks: {card key: {new_label, tags, comment}}, kept in this browser under the run's own key.
  const basket = document.querySelector(".basket");
  if (!basket) return;
  const key = `orthogon-marks:${document.body.dataset.key}`;
  const fields = ["new_label", "tags", "comment"];
  const cards = [...document.querySelectorAll(".card[data-id]")];
  let marks = {};
  try { marks = JSON.parse(store.get(key)) ?? {}; } catch { /* unreadable: start afresh */ }

  const marked = () => cards.filter((card) => card.id in marks);
  const show = () => {
    cards.forEach((card) => card.classList.toggle("marked", card.id in marks));
    const n = marked().length;
    basket.hidden = n === 0;
    basket.querySelector("[role=status]").textContent = `${n} marked`;
  };
  const read = (card) => {
    const mark = Object.fromEntries(fields.map((name) => [name, card.querySelector(`input[name=${name}]`).value.trim()]));
    if (fields.some((name) => mark[name])) marks[card.id] = mark;
    else delete marks[card.id];
    store.set(key, JSON.stringify(marks));
    show();
  };
  const fill = () => cards.forEach((card) => fields.forEach((name) => {
    card.querySelector(`input[name=${name}]`).value = marks[card.id]?.[name] ?? "";
  }));
  cards.forEach((card) => {
    const form = card.querySelector(".mark");
    form.hidden = false;
    form.open = card.id in marks || "open" in form.dataset;
    form.addEventListener("input", () => read(card));
    form.querySelector("button[name=take]").addEventListener("click", () => {
      form.querySelector("input[name=new_label]").value = card.dataset.answer;
      read(card);
    });
  });

  const quote = (text) => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const csv = () => [
    "split,id,origin,label,new_label,tags,comment",
    ...marked().map((card) => [
      card.dataset.split, card.dataset.id, card.dataset.origin, card.dataset.label, ...fields.map((name) => marks[card.id][name]),
    ].map(quote).join(",")),
  ].join("\r\n") + "\r\n";
  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "relabel.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  document.getElementById("clear").addEventListener("click", () => {
    if (!confirm("Remove all marks on this page?")) return;
    marks = {};
    store.set(key, "{}");
    fill();
    show();
  });
  fill();
  show();
})();
