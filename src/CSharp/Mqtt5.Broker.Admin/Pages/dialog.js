// Questions and answers of changes.

import { announce, h } from "./dom.js";

// Asks before a change that cannot be taken back; the answer is whether it is meant.
export function confirm(title, text, action, typed) {
    return new Promise(done => {
        const word = typed === undefined ? null : h("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": `Type ${typed} to confirm`, input: () => { yes.disabled = word.value !== typed; } });
        const yes = h("button", { class: "danger", type: "submit", value: "yes", disabled: word !== null }, action);
        const box = h("dialog", { "aria-labelledby": "question", close: () => { box.remove(); done(box.returnValue === "yes"); } },
            h("form", { submit: event => { event.preventDefault(); box.close("yes"); } },
                h("h2", { id: "question" }, title),
                h("p", null, text),
                word && h("p", { class: "field" }, h("label", null, "Type ", h("code", null, typed), " to confirm"), word),
                h("p", { class: "buttons" },
                    h("button", { type: "button", click: () => box.close("no") }, "Cancel"),
                    yes)));
        document.body.append(box);
        box.showModal();
    });
}

// Shows what became of a change in a line of the page, and says it.
export async function run(line, work, done) {
    try {
        const answer = await work();
        line.className = "done";
        line.textContent = typeof done === "function" ? done(answer) : done;
        announce(line.textContent);
        return true;
    } catch (failure) {
        line.className = "problem";
        line.textContent = failure.where ? `${failure.where}: ${failure.message}` : failure.message;
        announce(line.textContent);
        return false;
    }
}
