using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mqtt5.BrokerTests.Dashboard;

// A headless Chromium, driven by the WebDriver protocol of chromedriver: JSON over HTTP.
public sealed partial class Browser : IAsyncDisposable
{
    public const string Driver = "/usr/bin/chromedriver";

    private const string ElementKey = "element-6066-11e4-a52e-4f735466cecf";

    // The codes of keys in WebDriver.
    public const string Tab = "\uE004";
    public const string Enter = "\uE007";
    public const string Escape = "\uE00C";
    public const string Left = "\uE012";
    public const string Up = "\uE013";
    public const string Right = "\uE014";
    public const string Down = "\uE015";
    public const string Home = "\uE011";
    public const string End = "\uE010";
    public const string Space = "\uE00D";

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(25);

    private readonly Process process;
    private readonly HttpClient http;
    private readonly string session;

    private Browser(Process process, HttpClient http, string session)
    {
        this.process = process;
        this.http = http;
        this.session = session;
    }

    public static async Task<Browser> StartAsync()
    {
        var start = new ProcessStartInfo(Driver, ["--port=0"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var process = Process.Start(start)!;
        _ = process.StandardError.ReadToEndAsync();
        string? line;

        do
            line = await process.StandardOutput.ReadLineAsync().Bounded() ?? throw new InvalidOperationException("chromedriver did not start");
        while (!PortPattern().IsMatch(line));

        _ = process.StandardOutput.ReadToEndAsync();
        var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{PortPattern().Match(line).Groups[1].Value}/"), Timeout = RawClient.Patience };

        try
        {
            return new Browser(process, http, await OpenSessionAsync(http));
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    public Task OpenAsync(string address) => SendAsync("url", new JsonObject { ["url"] = address });

    // Runs a script, whose result is its value.
    public Task<JsonElement> RunAsync(string script, params JsonNode[] arguments) =>
        SendAsync("execute/sync", new JsonObject { ["script"] = script, ["args"] = new JsonArray(arguments) });

    // Runs an asynchronous function body, whose value is awaited.
    public Task<JsonElement> AwaitAsync(string body) =>
        SendAsync("execute/async", new JsonObject { ["script"] = $"const done = arguments[arguments.length - 1]; (async () => {{ {body} }})().then(done, failure => done('failed: ' + failure))", ["args"] = new JsonArray() });

    // The trimmed text that is shown for all elements of a selector.
    public async Task<string> TextAsync(string selector) =>
        (await RunAsync("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText).join('\\n').trim()", selector)).GetString()!;

    public async Task<int> CountAsync(string selector) =>
        (await RunAsync("return document.querySelectorAll(arguments[0]).length", selector)).GetInt32();

    public async Task WaitAsync(string condition)
    {
        var watch = Stopwatch.StartNew();

        while (!(await RunAsync($"return Boolean({condition})")).GetBoolean())
        {
            if (watch.Elapsed > RawClient.Patience)
                Assert.Fail($"{condition}\n{(await RunAsync("return document.body.innerText")).GetString()}\n{string.Join('\n', await ComplaintsAsync())}");

            await Task.Delay(Step);
        }
    }

    public Task WaitForTextAsync(string selector, string text) =>
        WaitAsync($"[...document.querySelectorAll({JsonSerializer.Serialize(selector)})].some(one => one.textContent.includes({JsonSerializer.Serialize(text)}))");

    public async Task ClickAsync(string selector) => await SendAsync($"element/{await FindAsync(selector)}/click", []);

    // Replaces the text of a control.
    public async Task TypeAsync(string selector, string text)
    {
        var element = await FindAsync(selector);
        await SendAsync($"element/{element}/clear", []);
        await SendAsync($"element/{element}/value", new JsonObject { ["text"] = text });
    }

    public Task ChooseAsync(string selector, string value) =>
        RunAsync("const one = document.querySelector(arguments[0]); one.value = arguments[1]; one.dispatchEvent(new Event('change'))", selector, value);

    // Presses keys, to the element that has the focus.
    public Task PressAsync(params string[] keys)
    {
        var actions = new JsonArray();

        foreach (var key in keys)
        {
            actions.Add((JsonNode)new JsonObject { ["type"] = "keyDown", ["value"] = key });
            actions.Add((JsonNode)new JsonObject { ["type"] = "keyUp", ["value"] = key });
        }

        return SendAsync("actions", new JsonObject { ["actions"] = new JsonArray(new JsonObject { ["type"] = "key", ["id"] = "keyboard", ["actions"] = actions }) });
    }

    public Task WriteAsync(string text) => PressAsync([.. text.Select(letter => letter.ToString())]);

    // Whether a page opened a dialog of the browser, as alert does.
    public async Task<bool> HasAlertAsync()
    {
        using var answer = await http.GetAsync(new Uri($"session/{session}/alert/text", UriKind.Relative));
        return answer.IsSuccessStatusCode;
    }

    // The scheme of the system; without motion, so that colors are those of the theme at once.
    public Task PreferAsync(string scheme) =>
        SendAsync("goog/cdp/execute", new JsonObject
        {
            ["cmd"] = "Emulation.setEmulatedMedia",
            ["params"] = new JsonObject { ["features"] = new JsonArray(Feature("prefers-color-scheme", scheme), Feature("prefers-reduced-motion", "reduce")) },
        });

    public Task ResizeAsync(int width, int height) =>
        SendAsync("window/rect", new JsonObject { ["width"] = width, ["height"] = height });

    // What the browser complained about since the last call, such as refused scripts; that a request was refused is no complaint.
    public async Task<string[]> ComplaintsAsync()
    {
        var entries = await SendAsync("se/log", new JsonObject { ["type"] = "browser" });
        return
        [
            .. entries.EnumerateArray()
                .Where(entry => entry.GetProperty("level").GetString() == "SEVERE" && entry.GetProperty("source").GetString() != "network")
                .Select(entry => entry.GetProperty("message").GetString()!),
        ];
    }

    public async Task<byte[]> ScreenshotAsync()
    {
        using var answer = await http.GetAsync(new Uri($"session/{session}/screenshot", UriKind.Relative));
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("value").GetBytesFromBase64();
    }

    public async ValueTask DisposeAsync()
    {
        using (await http.DeleteAsync(new Uri($"session/{session}", UriKind.Relative)))
        {
        }

        http.Dispose();
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync().Bounded();
        process.Dispose();
    }

    [GeneratedRegex("started successfully on port ([0-9]+)")]
    private static partial Regex PortPattern();

    private static async Task<string> OpenSessionAsync(HttpClient http)
    {
        var wanted = JsonNode.Parse("""
            {"capabilities":{"alwaysMatch":{
              "browserName":"chrome","unhandledPromptBehavior":"ignore",
              "goog:loggingPrefs":{"browser":"ALL"},
              "goog:chromeOptions":{"args":["--headless=new","--no-sandbox","--disable-gpu","--disable-dev-shm-usage","--no-first-run","--disable-extensions","--disable-background-networking","--force-device-scale-factor=1","--window-size=1280,900","--lang=en"]}}}}
            """);
        using var answer = await http.PostAsync(new Uri("session", UriKind.Relative), ContentOf(wanted!));
        var created = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(answer.IsSuccessStatusCode, created.ToString());
        return created.GetProperty("value").GetProperty("sessionId").GetString()!;
    }

    private static JsonObject Feature(string name, string value) => new() { ["name"] = name, ["value"] = value };

    // With its length, because chromedriver takes no chunks.
    private static StringContent ContentOf(JsonNode body) => new(body.ToJsonString(), Encoding.UTF8, "application/json");

    private async Task<string> FindAsync(string selector)
    {
        await WaitAsync($"document.querySelector({JsonSerializer.Serialize(selector)})");
        return (await SendAsync("element", new JsonObject { ["using"] = "css selector", ["value"] = selector })).GetProperty(ElementKey).GetString()!;
    }

    private async Task<JsonElement> SendAsync(string command, JsonObject body)
    {
        using var answer = await http.PostAsync(new Uri($"session/{session}/{command}", UriKind.Relative), ContentOf(body));
        var value = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("value");
        Assert.True(answer.IsSuccessStatusCode, $"{command} {body}: {value}");
        return value;
    }
}

// One browser for all tests of a class; null: it is not installed.
public sealed class BrowserFixture : IAsyncLifetime
{
    public Browser? Browser { get; private set; }

    public async ValueTask InitializeAsync()
    {
        if (File.Exists(Dashboard.Browser.Driver))
            Browser = await Dashboard.Browser.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (Browser is { } browser)
            await browser.DisposeAsync();
    }
}
