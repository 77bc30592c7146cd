// The HTTP API, which is beside the folder of this file.

const root = new URL("../", import.meta.url);
const tries = 6;

// Why a request was not done, as the API says it.
export class Problem extends Error {
    constructor(status, detail, where) {
        super(detail);
        this.status = status;
        this.where = where;
    }

    get hasOwnLogin() {
        return this.status === 401 && (this.where === "Authorization" || this.where === "token");
    }
}

let signedOut = () => {};

// Called when the API takes no request without a sign-in.
export function whenSignedOut(callback) {
    signedOut = callback;
}

function address(path, query) {
    const url = new URL(path, root);

    for (const [name, value] of Object.entries(query ?? {})) {
        if (value !== null && value !== undefined && value !== "")
            url.searchParams.set(name, value);
    }

    return url;
}

async function problemOf(response) {
    try {
        const problem = await response.json();
        return new Problem(response.status, problem.detail ?? response.statusText, problem.where);
    } catch {
        return new Problem(response.status, `The broker answers with ${response.status} ${response.statusText}.`);
    }
}

async function ask(method, path, query, body, signal) {
    const headers = { Accept: "application/json" };

    if (method !== "GET")
        headers["Mqtt5-Admin"] = "1";

    if (body !== undefined)
        headers["Content-Type"] = "application/json";

    let response;

    try {
        response = await fetch(address(path, query), { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal, redirect: "manual" });
    } catch (failure) {
        throw failure.name === "AbortError" ? failure : new Problem(0, "The broker does not answer.");
    }

    // An application sends browsers without a login to its page for it.
    if (response.type === "opaqueredirect")
        throw new Problem(401, "You are signed out.");

    if (!response.ok)
        throw await problemOf(response);

    return response.status === 204 ? null : response.json();
}

async function guarded(run) {
    try {
        return await run();
    } catch (failure) {
        if (failure.status === 401)
            signedOut(failure);

        throw failure;
    }
}

// Reading is tried again where requests come faster than they are answered.
export function get(path, query, signal) {
    return guarded(async () => {
        for (let attempt = 1; ; attempt++) {
            try {
                return await ask("GET", path, query, undefined, signal);
            } catch (failure) {
                if (failure.status !== 429 || attempt === tries)
                    throw failure;

                await new Promise(done => setTimeout(done, 300 * attempt));
            }
        }
    });
}

export function change(method, path, query, body) {
    return guarded(() => ask(method, path, query, body));
}

export function signIn(token) {
    return ask("POST", "login", null, { token });
}

export function signOut() {
    return ask("POST", "logout");
}

// A client in a path: its identifier may be one that no path can hold.
export function ofClient(client) {
    return { client };
}

// Server-sent events; the result ends them. The browser connects again by itself, unless the API refuses.
export function stream(path, query, onMessage, onState) {
    const source = new EventSource(address(path, query));
    source.onopen = () => onState(true);
    source.onerror = () => onState(false, source.readyState === EventSource.CLOSED);
    source.onmessage = event => onMessage(JSON.parse(event.data));
    return () => source.close();
}
