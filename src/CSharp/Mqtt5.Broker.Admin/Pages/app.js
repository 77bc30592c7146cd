// The frame of the dashboard: sign-in, navigation, theme.

import { get, signIn, signOut, whenSignedOut } from "./api.js";
import { announce, field, h, show } from "./dom.js";
import * as clients from "./clients.js";
import * as overview from "./overview.js";
import * as subscriptions from "./subscriptions.js";
import * as topics from "./topics.js";

const pages = { overview, clients, topics, subscriptions };
const themes = { system: "Theme of the system", light: "Light theme", dark: "Dark theme" };
const app = document.getElementById("app");
const ranks = ["viewer", "operator", "administrator"];

let me = null;
let leave = null;

// Whether the role that is signed in is enough. The broker refuses what this would hide.
function may(role) {
    return ranks.indexOf(me.role) >= ranks.indexOf(role);
}

function setTheme(theme) {
    if (theme === "system")
        delete document.documentElement.dataset.theme;
    else
        document.documentElement.dataset.theme = theme;
}

function storedTheme() {
    try {
        return localStorage.getItem("mqtt5-theme") ?? "system";
    } catch {
        return "system";
    }
}

function themeSwitch() {
    const choice = h("select", {
        "aria-label": "Theme", id: "theme", change: () => {
            setTheme(choice.value);

            try {
                localStorage.setItem("mqtt5-theme", choice.value);
            } catch {
                // It holds until the page is left.
            }
        },
    }, Object.entries(themes).map(([value, text]) => h("option", { value, selected: value === storedTheme() }, text)));
    return choice;
}

function end() {
    leave?.();
    leave = null;
}

function showSignIn(problem) {
    end();
    me = null;
    const token = h("input", { type: "password", autocomplete: "current-password", required: true, name: "token", spellcheck: "false" });
    const line = h("p", { role: "alert", class: "problem" }, "");
    const form = h("form", {
        submit: async event => {
            event.preventDefault();

            try {
                await signIn(token.value.trim());
                await start();
            } catch (failure) {
                line.textContent = failure.message;
                token.select();
            }
        },
    },
    h("h1", null, "Mqtt5 broker"),
    problem?.hasOwnLogin === false
        ? [h("p", null, "Sign in to the application that this dashboard belongs to, and load the page again."), h("p", { class: "buttons" }, h("button", { type: "button", class: "main", click: () => location.reload() }, "Load again"))]
        : [
            h("p", null, "Sign in with a token of the broker. It printed that of the administrator at its first start; all are in its token file."),
            field("Token", token),
            line,
            h("p", { class: "buttons" }, h("button", { class: "main" }, "Sign in")),
        ]);
    show(app, h("main", { class: "signin" }, form, h("p", null, themeSwitch())));
    token.focus();
}

function showFrame() {
    const names = Object.entries(pages).map(([name, page]) => h("li", null, h("a", { href: `#/${name}`, "data-page": name }, page.title)));
    show(app,
        h("a", { class: "skip", href: "#main", click: event => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content"),
        h("header", null,
            h("p", { class: "brand" }, h("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 24, height: 24 }), h("span", null, "Mqtt5 broker")),
            h("p", { class: "who" }, `${me.name.startsWith(me.role) ? "" : `${me.name}, `}${me.role}`),
            themeSwitch(),
            me.canSignOut && h("button", { type: "button", id: "sign-out", click: async () => { await signOut(); showSignIn(); } }, "Sign out")),
        h("nav", { "aria-label": "Pages" }, h("ul", null, names)),
        h("main", { id: "main", tabindex: "-1" }),
        h("p", { id: "status", class: "unseen", role: "status", "aria-live": "polite" }));
}

// The page of the address, as #/clients/gauge-7.
function route() {
    if (me === null)
        return;

    end();
    const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
    const page = pages[name] ?? overview;
    const main = document.getElementById("main");

    for (const link of document.querySelectorAll("nav a"))
        link.dataset.page === (pages[name] ? name : "overview") ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");

    document.title = `${page.title} – Mqtt5 broker`;
    show(main);
    leave = page.open(main, { rest: rest.join("/"), may });
    announce(page.title);
}

async function start() {
    try {
        me = await get("me");
    } catch (failure) {
        if (failure.status !== 401)
            show(app, h("main", { class: "signin" }, h("h1", null, "Mqtt5 broker"), h("p", { class: "problem", role: "alert" }, failure.message), h("p", { class: "buttons" }, h("button", { type: "button", class: "main", click: () => location.reload() }, "Try again"))));

        return;
    }

    showFrame();
    route();
}

setTheme(storedTheme());
whenSignedOut(showSignIn);
addEventListener("hashchange", route);
await start();
