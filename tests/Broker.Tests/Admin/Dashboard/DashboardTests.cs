using System.Text;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests.Dashboard;

// The pages of the dashboard in a real browser: what each shows, and each action.
public sealed class DashboardTests(BrowserFixture fixture) : IClassFixture<BrowserFixture>
{
    private const string Hostile = "<img src=x onerror=alert(1)>\"'><script>window.hacked=1</script>";

    private Browser Page => fixture.Browser!;

    [Fact]
    public async Task A_token_opens_the_dashboard_until_the_sign_out()
    {
        await using var setup = await StartAsync();
        await Page.OpenAsync(setup.Server.Address.ToString());
        await Page.TypeAsync("input[name=token]", "0123456789012345678901234567890");
        await Page.ClickAsync("button.main");
        await Page.WaitForTextAsync("[role=alert]", "the token is not known");
        await Page.TypeAsync("input[name=token]", setup.TokenOf(MqttAdminRole.Operator));
        await Page.ClickAsync("button.main");
        await Page.WaitForTextAsync("h1", "Overview");
        Assert.Equal("operator", await Page.TextAsync(".who"));
        // Neither the token nor the cookie is within reach of scripts.
        Assert.Equal("", (await Page.RunAsync("return document.cookie + localStorage.getItem('token') + sessionStorage.length")).GetString()!.Replace("null0", "", StringComparison.Ordinal));
        await Page.ClickAsync("#sign-out");
        await Page.WaitAsync("document.querySelector('input[name=token]')");
        Assert.Equal(401, (await Page.AwaitAsync("return (await fetch('overview')).status")).GetInt32());
    }

    [Fact]
    public async Task The_overview_has_the_figures_of_now_and_of_the_last_hour()
    {
        await using var setup = await StartAsync(options => options.Limits.TopicLevels = 3);
        await using var client = await setup.ConnectAsync("gauge-1");
        await client.SubscribeAsync("a/#").Bounded();
        await client.PublishAsync("a/kept", "x", QoS.AtLeastOnce, retain: true).Bounded();
        await Assert.ThrowsAnyAsync<Exception>(() => client.PublishAsync("a/b/c/d/e", "x", QoS.AtLeastOnce).Bounded());
        await SignInAsync(setup, MqttAdminRole.Viewer, "overview");
        await Page.WaitAsync("document.querySelectorAll('.tile').length === 7");
        Assert.Equal("1", await Page.TextAsync("[data-name=Connections] .figure"));
        Assert.Equal("1", await Page.TextAsync("[data-name='Retained messages'] .figure"));
        Assert.Equal("1", await Page.TextAsync("[data-name=Subscriptions] .figure"));
        Assert.StartsWith("Serving", await Page.TextAsync(".state"), StringComparison.Ordinal);
        Assert.Contains(setup.Broker.Addresses[0].ToString().TrimEnd('/'), await Page.TextAsync("[aria-labelledby=listeners]"), StringComparison.Ordinal);
        Assert.Contains("topic-levels", await Page.TextAsync("[aria-labelledby=limits]"), StringComparison.Ordinal);
        // The page follows by itself, and the focus of the keyboard stays where it is.
        await Page.RunAsync("document.querySelector('[data-name=Connections] a').focus()");
        await using var second = await setup.ConnectAsync("gauge-2");
        await Page.WaitAsync("document.querySelector('[data-name=Connections] .figure').textContent === '2'");
        Assert.Equal("Connections", await Page.TextAsync(":focus"));
        await EndAsync();
    }

    [Fact]
    public async Task Clients_are_searched_and_paged()
    {
        await using var setup = await StartAsync();
        var clients = new List<MqttClient>();

        foreach (var index in Enumerable.Range(0, 130))
            clients.Add(await setup.Broker.ConnectInProcessAsync(options => options.ClientId = $"gauge-{index:D3}").Bounded());

        await SignInAsync(setup, MqttAdminRole.Viewer, "clients");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 100");
        await Page.ClickAsync(".paging button:last-child");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 30");
        Assert.Contains("gauge-129", await Page.TextAsync("tbody"), StringComparison.Ordinal);
        await Page.ClickAsync(".paging button");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 100");
        await Page.TypeAsync("[name=contains]", "-07");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 10");
        await clients[75].DisposeAsync();
        await Page.ChooseAsync("[name=version]", "3.1");
        await Page.WaitForTextAsync(".empty", "No client is like this");
        await Page.ChooseAsync("[name=version]", "5");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 9");
        await EndAsync();

        foreach (var client in clients)
            await client.DisposeAsync();
    }

    [Fact]
    public async Task A_client_is_shown_explained_disconnected_and_ended()
    {
        await using var setup = await StartAsync();
        await using var raw = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"slow/1\" props{ReceiveMaximum=1, SessionExpiryInterval=3600}");
        await raw.SubscribeAsync("\"work/#\" qos=1");

        foreach (var index in Enumerable.Range(0, 3))
            setup.Broker.Publish(new MqttMessage { Topic = $"work/{index}", QoS = QoS.AtLeastOnce });

        await SignInAsync(setup, MqttAdminRole.Administrator, "clients");
        await Page.ClickAsync("tbody a");
        await Page.WaitForTextAsync("h1", "slow/1");
        await Page.WaitAsync("document.querySelectorAll('[aria-label=Queue] tbody tr').length === 2");
        Assert.Contains("work/1", await Page.TextAsync("[aria-label=Queue]"), StringComparison.Ordinal);
        Assert.Contains("PUBACK", await Page.TextAsync("[aria-label='Messages in flight']"), StringComparison.Ordinal);
        Assert.Contains("work/#", await Page.TextAsync("[aria-label=Subscriptions]"), StringComparison.Ordinal);
        Assert.Contains("connected", await Page.TextAsync("[aria-label='Events of the last hour']"), StringComparison.Ordinal);

        await ExplainAsync("other/1", "No filter of the session matches the topic.");
        await ExplainAsync("work/9", "It waits with QoS 1");
        await ExplainAsync("a/#", "topic: ");

        await Page.ClickAsync("#disconnect");
        await Page.ClickAsync("dialog button[type=button]");
        await Page.WaitAsync("document.querySelector('dialog') === null");
        Assert.True(setup.Broker.Inspection.Client("slow/1")!.IsConnected);
        await Page.ClickAsync("#disconnect");
        await Page.ClickAsync("dialog .danger");
        await Page.WaitForTextAsync(".done", "The client is disconnected.");
        await Page.WaitForTextAsync(".facts", "away");
        await Page.ClickAsync("#end-session");
        await Page.ClickAsync("dialog .danger");
        await Page.WaitForTextAsync(".empty", "There is no session of this client.");
        await Page.WaitForTextAsync("[aria-label='Events of the last hour']", "session-ended");
        Assert.Null(setup.Broker.Inspection.Client("slow/1"));
        await EndAsync();

        async Task ExplainAsync(string topic, string answer)
        {
            await Page.TypeAsync("[name=topic]", topic);
            await Page.ClickAsync("[aria-labelledby=explain] .main");
            await Page.WaitForTextAsync("[aria-labelledby=explain] [role=status]", answer);
        }
    }

    [Fact]
    public async Task Topics_are_a_tree_with_live_values_to_publish_and_to_delete()
    {
        await using var setup = await StartAsync();

        foreach (var topic in new[] { "plant/1/temp", "plant/1/door", "plant/2/temp", "other" })
            setup.Broker.Publish(new MqttMessage { Topic = topic, Payload = "21"u8.ToArray(), Retain = true });

        await SignInAsync(setup, MqttAdminRole.Operator, "topics");
        await Page.WaitForTextAsync(".note", "4 retained messages");
        await Page.WaitForTextAsync(".title .badge", "live");
        await Page.WaitAsync("document.querySelectorAll('[role=treeitem]').length === 2");
        await Page.ClickAsync(".row:nth-child(2)");
        await Page.ClickAsync(".row:nth-child(3)");
        await Page.ClickAsync(".row:nth-child(5)");
        await Page.WaitForTextAsync(".detail h2", "plant/1/temp");
        await Page.WaitForTextAsync(".detail pre", "21");
        Assert.Contains("retained", await Page.TextAsync(".detail .marks"), StringComparison.Ordinal);

        // Published by the page itself, and seen by it; and by others.
        await Page.TypeAsync("[name=payload]", "22.5");
        await Page.ClickAsync("[aria-labelledby=publish] .main");
        await Page.WaitForTextAsync(".detail pre", "22.5");
        Assert.Contains("difference 1.5", await Page.TextAsync(".detail"), StringComparison.Ordinal);
        setup.Broker.Publish(new MqttMessage { Topic = "plant/9", Payload = "new"u8.ToArray() });
        await Page.WaitForTextAsync(".row", "new");
        await Page.WaitAsync("document.querySelector('.rate')");

        await Page.ClickAsync("#delete-one");
        await Page.WaitForTextAsync(".done", "The retained message is deleted.");
        Assert.Null(setup.Broker.Inspection.RetainedAt("plant/1/temp"));

        await Page.ClickAsync(".row:nth-child(2)");
        await Page.WaitForTextAsync(".detail h2", "plant");
        await Page.ClickAsync("#delete-below");
        await Page.ClickAsync("dialog .danger");
        await Page.WaitForTextAsync("dialog h2", "Are you sure?");
        Assert.True((await Page.RunAsync("return document.querySelector('dialog .danger').disabled")).GetBoolean());
        Assert.Equal(3, setup.Broker.Inspection.Overview().Retained);
        await Page.TypeAsync("dialog input", "delete");
        await Page.ClickAsync("dialog .danger");
        await Page.WaitForTextAsync(".done", "2 retained messages deleted.");
        Assert.Equal(["other"], setup.Broker.Inspection.Retained("#", 10).Items.Select(one => one.Topic));
        Assert.Contains("Information Mqtt5.Admin: operator by cookie from 127.0.0.1: DELETE retained plant/# (2)", setup.Audit.Lines);
        await EndAsync();
    }

    [Fact]
    public async Task Subscriptions_are_searched_and_shared_ones_have_members()
    {
        await using var setup = await StartAsync();
        await using var one = await setup.ConnectAsync("one");
        await using var two = await setup.ConnectAsync("two");
        await one.SubscribeAsync("plant/+/temp").Bounded();
        await one.SubscribeAsync("$share/workers/jobs/#").Bounded();
        await two.SubscribeAsync("$share/workers/jobs/#").Bounded();
        await SignInAsync(setup, MqttAdminRole.Viewer, "subscriptions");
        await Page.WaitAsync("document.querySelectorAll('[aria-label=Subscriptions] tbody tr').length === 3");
        await Page.WaitForTextAsync("[aria-label='Shared subscriptions']", "$share/workers/jobs/#");
        Assert.Matches(@"2\s+one two", await Page.TextAsync("[aria-label='Shared subscriptions'] tbody"));
        await Page.TypeAsync("[name=topic]", "plant/7/temp");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitAsync("document.querySelectorAll('[aria-label=Subscriptions] tbody tr').length === 1");
        await Page.TypeAsync("[name=topic]", "plant/#");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitAsync("document.querySelector('main .problem')?.textContent.length > 0");
        await EndAsync();
    }

    [Fact]
    public async Task A_viewer_has_no_buttons_for_changes_and_is_refused_without_them()
    {
        await using var setup = await StartAsync();
        await using var client = await setup.ConnectAsync("gauge-1");
        setup.Broker.Publish(new MqttMessage { Topic = "kept", Payload = "x"u8.ToArray(), Retain = true });
        await SignInAsync(setup, MqttAdminRole.Viewer, "clients/gauge-1");
        await Page.WaitForTextAsync(".facts", "connected");
        Assert.Equal(0, await Page.CountAsync("#disconnect, #end-session"));
        await Page.RunAsync("location.hash = '#/topics'");
        await Page.ClickAsync(".row");
        await Page.WaitForTextAsync(".detail pre", "x");
        Assert.Equal(0, await Page.CountAsync("#delete-one, #delete-below, [name=payload]"));
        var statuses = await Page.AwaitAsync("""
            const ask = (method, path) => fetch(path, { method, headers: { "Mqtt5-Admin": "1" } }).then(answer => answer.status);
            return [await ask("DELETE", "clients/gauge-1"), await ask("DELETE", "sessions/gauge-1"), await ask("DELETE", "retained?filter=%23"), await ask("DELETE", "retained/message?topic=kept")];
            """);
        Assert.Equal([403, 403, 403, 403], statuses.EnumerateArray().Select(one => one.GetInt32()));
        Assert.True(setup.Broker.Inspection.Client("gauge-1")!.IsConnected);
        Assert.Equal(1, setup.Broker.Inspection.Overview().Retained);

        // An operator does not end sessions.
        await SignInAsync(setup, MqttAdminRole.Operator, "clients/gauge-1");
        await Page.WaitAsync("document.querySelector('#disconnect')?.disabled === false");
        Assert.Equal(0, await Page.CountAsync("#end-session"));
        await EndAsync();
    }

    [Fact]
    public async Task Everything_can_be_done_by_keyboard_and_the_focus_can_be_seen()
    {
        await using var setup = await StartAsync();
        await using var client = await setup.ConnectAsync("gauge-1", TimeSpan.FromHours(1));
        setup.Broker.Publish(new MqttMessage { Topic = "plant/1/temp", Payload = "21"u8.ToArray(), Retain = true });
        await Page.OpenAsync(setup.Server.Address.ToString());
        await Page.WaitAsync("document.activeElement?.name === 'token'");
        await Page.WriteAsync(setup.TokenOf(MqttAdminRole.Administrator));
        await Page.PressAsync(Browser.Enter);
        await Page.WaitForTextAsync("h1", "Overview");
        await TabToAsync("nav a[href='#/clients']");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitForTextAsync("tbody", "gauge-1");
        await TabToAsync("[name=contains]");
        await Page.WriteAsync("gauge");
        await TabToAsync("tbody a");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitAsync("document.querySelector('#disconnect')?.disabled === false");
        await TabToAsync("[name=topic]");
        await Page.WriteAsync("plant/1");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitForTextAsync("[aria-labelledby=explain] [role=status]", "No filter of the session matches the topic.");
        await TabToAsync("#disconnect");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitAsync("document.querySelector('dialog')?.open");
        await Page.PressAsync(Browser.Escape);
        await Page.WaitAsync("document.querySelector('dialog') === null && document.activeElement.id === 'disconnect'");
        Assert.True(setup.Broker.Inspection.Client("gauge-1")!.IsConnected);
        await Page.PressAsync(Browser.Space);
        await Page.WaitAsync("document.querySelector('dialog')?.open");
        await TabToAsync("dialog .danger");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitForTextAsync("[role=status]", "The client is disconnected.");
        await Waits.UntilAsync(() => setup.Broker.Inspection.Client("gauge-1") is { IsConnected: false });

        await TabToAsync("nav a[href='#/topics']");
        await Page.PressAsync(Browser.Enter);
        await Page.WaitAsync("document.querySelector('[role=treeitem]')");
        await TabToAsync("[role=tree]");
        await Page.PressAsync(Browser.Right, Browser.Down);
        await Page.WaitAsync("document.querySelector('.row.active')?.getAttribute('aria-level') === '2'");
        await Page.PressAsync(Browser.Right);
        await Page.WaitAsync("document.querySelectorAll('[role=treeitem]').length === 3");
        await Page.PressAsync(Browser.Down, Browser.Enter);
        await Page.WaitForTextAsync(".detail pre", "21");
        Assert.Equal("plant/1/temp", await Page.TextAsync(".detail h2"));
        await Page.PressAsync(Browser.Left, Browser.Left);
        await Page.WaitAsync("document.querySelectorAll('[role=treeitem]').length === 2");
        await EndAsync();

        // By Tab alone, from wherever the focus is, and each stop on the way can be seen.
        async Task TabToAsync(string selector)
        {
            for (var step = 0; step < 60; step++)
            {
                await Page.PressAsync(Browser.Tab);
                var focus = await Page.RunAsync("""
                    const one = document.activeElement;
                    const style = getComputedStyle(one.classList.contains("tree") ? one.querySelector(".row.active") ?? one : one);
                    return [one === document.querySelector(arguments[0]), one === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0), one.outerHTML.slice(0, 200)];
                    """, selector);
                Assert.True(focus[1].GetBoolean(), $"the focus cannot be seen: {focus[2]}");

                if (focus[0].GetBoolean())
                    return;
            }

            Assert.Fail($"Tab does not lead to {selector}");
        }
    }

    [Fact]
    public async Task Both_themes_have_contrast_and_the_switch_wins_over_the_system()
    {
        await using var setup = await StartAsync();
        await using var client = await setup.ConnectAsync("gauge-1");

        try
        {
            await Page.PreferAsync("dark");
            await SignInAsync(setup, MqttAdminRole.Administrator, "clients/gauge-1");
            await Page.WaitForTextAsync(".facts", "connected");
            Assert.True(await BrightnessAsync() < 0.1);
            await AssertContrastAsync();
            await Page.ChooseAsync("#theme", "light");
            Assert.True(await BrightnessAsync() > 0.8);
            await AssertContrastAsync();
            await Page.OpenAsync(setup.Server.Address + "/#/overview");
            await Page.RunAsync("location.reload()");
            await Page.WaitAsync("document.querySelectorAll('.tile').length === 7");
            Assert.True(await BrightnessAsync() > 0.8);
            await AssertContrastAsync();
            await Page.PreferAsync("light");
            await Page.ChooseAsync("#theme", "dark");
            Assert.True(await BrightnessAsync() < 0.1);
            await AssertContrastAsync();
            await Page.ChooseAsync("#theme", "system");
            Assert.True(await BrightnessAsync() > 0.8);
        }
        finally
        {
            await Page.PreferAsync("light");
            await Page.RunAsync("localStorage.clear()");
        }

        await EndAsync();

        async Task<double> BrightnessAsync() =>
            (await Page.RunAsync(Colors + "return brightness(color(getComputedStyle(document.body).backgroundColor))")).GetDouble();

        // The 4.5 to 1 of WCAG for every text that is shown.
        async Task AssertContrastAsync()
        {
            var poor = await Page.RunAsync(Colors + """
                const poor = [];

                for (const one of document.querySelectorAll("#app *")) {
                    const hasText = [...one.childNodes].some(child => child.nodeType === 3 && child.textContent.trim() !== "");

                    if (!hasText || one.disabled || one.closest(".unseen") || one.tagName === "OPTION" || one.getClientRects().length === 0)
                        continue;

                    let back = one;

                    while (back !== null && getComputedStyle(back).backgroundColor === "rgba(0, 0, 0, 0)")
                        back = back.parentElement;

                    const [front, behind] = [getComputedStyle(one).color, getComputedStyle(back ?? document.body).backgroundColor].map(text => brightness(color(text)));
                    const ratio = (Math.max(front, behind) + 0.05) / (Math.min(front, behind) + 0.05);

                    if (ratio < 4.5)
                        poor.push(`${ratio.toFixed(2)} ${one.outerHTML.slice(0, 120)}`);
                }

                return poor;
                """);
            Assert.Empty(poor.EnumerateArray().Select(one => one.GetString()));
        }
    }

    [Fact]
    public async Task Text_of_a_hostile_client_is_shown_and_never_run()
    {
        await using var setup = await StartAsync();
        var topic = $"{Hostile}/{Hostile}";
        const string Turned = "safe\u202Egpj.exe\u200B";
        var options = Brokers.For(setup.Broker, "mqtt", Hostile);
        options.SessionExpiry = TimeSpan.FromHours(1);
        options.Credentials = MqttCredentials.Of(Hostile, "x");
        options.Will = new MqttWill { Message = new MqttMessage { Topic = topic } };
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.SubscribeAsync($"{topic}/#", QoS.AtLeastOnce).Bounded();
        await client.SubscribeAsync($"$share/group/{topic}", QoS.AtLeastOnce).Bounded();
        await client.PublishAsync(new MqttMessage { Topic = topic, Payload = Encoding.UTF8.GetBytes($"{Hostile}\u001b[31m{Turned}"), Retain = true, QoS = QoS.AtLeastOnce, ContentType = Hostile }).Bounded();
        await client.PublishAsync(Turned, "x", QoS.AtLeastOnce, retain: true).Bounded();
        await SignInAsync(setup, MqttAdminRole.Administrator, "clients");
        await Page.WaitForTextAsync("tbody", Hostile);
        await AssertHarmlessAsync();
        await Page.ClickAsync("tbody a");
        await Page.WaitForTextAsync("h1", Hostile);
        await Page.WaitForTextAsync("[aria-label=Subscriptions]", $"{topic}/#");
        await Page.WaitForTextAsync("[aria-label='Events of the last hour']", "connected");
        Assert.Contains(Hostile, await Page.TextAsync(".facts"), StringComparison.Ordinal);
        await Page.TypeAsync("[name=topic]", topic);
        await Page.ClickAsync("[aria-labelledby=explain] .main");
        await Page.WaitForTextAsync("[aria-labelledby=explain] [role=status]", Hostile);
        await AssertHarmlessAsync();
        await Page.ClickAsync("#disconnect");
        await Page.ClickAsync("dialog .danger");
        await Page.WaitForTextAsync(".done", "disconnected");
        await AssertHarmlessAsync();
        await Page.RunAsync("location.hash = '#/subscriptions'");
        await Page.WaitForTextAsync("[aria-label='Shared subscriptions']", Hostile);
        await AssertHarmlessAsync();
        await Page.RunAsync("location.hash = '#/topics'");
        await Page.WaitAsync("document.querySelectorAll('[role=treeitem]').length === 2");
        Assert.Contains(@"safe\u202egpj.exe\u200b", await Page.TextAsync(".tree"), StringComparison.Ordinal);
        await Page.RunAsync("document.querySelector('[role=tree]').focus()");
        await Page.PressAsync(Browser.Home);

        // A name may have slashes, which are levels.
        foreach (var _ in topic.Split('/'))
            await Page.PressAsync(Browser.Right, Browser.Down);

        await Page.PressAsync(Browser.End, Browser.Up, Browser.Enter);
        await Page.WaitForTextAsync(".detail pre", $@"{Hostile}\u001b[31msafe\u202egpj.exe\u200b");
        Assert.Equal(topic, (await Page.RunAsync("return document.querySelector('.detail h2').textContent")).GetString());
        await AssertHarmlessAsync();
        await Page.RunAsync("location.hash = '#/overview'");
        await Page.WaitAsync("document.querySelectorAll('.tile').length === 7");
        await AssertHarmlessAsync();
        await EndAsync();

        async Task AssertHarmlessAsync()
        {
            Assert.False(await Page.HasAlertAsync());
            var found = await Page.RunAsync("return [document.querySelectorAll('img').length, document.querySelectorAll('script').length, typeof window.hacked, document.querySelectorAll('[onerror]').length]");
            Assert.Equal("[1,1,\"undefined\",0]", found.ToString());
        }
    }

    // Of what a policy of the page may let pass without an effect.
    private static readonly string[] Outcomes = ["TypeError", "done"];

    [Fact]
    public async Task Neither_markup_in_a_string_nor_a_script_of_the_page_itself_is_run()
    {
        await using var setup = await StartAsync();
        await SignInAsync(setup, MqttAdminRole.Viewer, "overview");
        var answer = await Page.AwaitAsync("""
            const outcomes = {};

            async function attempt(name, action) {
                try {
                    await action();
                    outcomes[name] = "done";
                } catch (failure) {
                    outcomes[name] = failure.name;
                }
            }

            await attempt("markup", () => document.body.insertAdjacentHTML("beforeend", "<b id=planted></b>"));
            await attempt("script", () => {
                const script = document.createElement("script");
                script.append("window.hacked = 1");
                document.body.append(script);
            });
            await attempt("handler", () => {
                const element = document.createElement("div");
                document.body.append(element);
                element.setAttribute("onclick", "window.hacked = 1");
                element.click();
            });
            await attempt("other site", () => fetch("http://127.0.0.1:9/"));
            return [outcomes["markup"], outcomes["other site"], outcomes["script"], outcomes["handler"], typeof window.hacked, String(document.getElementById("planted"))];
            """);
        var tried = answer.EnumerateArray().Select(one => one.GetString()!).ToArray();
        // The page refuses markup and other sites with an exception. A script or a handler may be refused so, or be left out.
        Assert.Equal(["TypeError", "TypeError"], tried[..2]);
        Assert.All(tried[2..4], outcome => Assert.Contains(outcome, Outcomes));
        Assert.Equal(["undefined", "null"], tried[4..]);
        Assert.NotEmpty(await Page.ComplaintsAsync());
    }

    [Fact]
    public async Task A_long_payload_is_cut()
    {
        await using var setup = await StartAsync();
        setup.Broker.Publish(new MqttMessage { Topic = "long", Payload = Encoding.ASCII.GetBytes(new string('x', 100_000)), Retain = true });
        await SignInAsync(setup, MqttAdminRole.Viewer, "topics");
        await Page.ClickAsync(".row");
        await Page.WaitForTextAsync(".detail", "The first 64 KiB of it.");
        Assert.Equal(65_536, (await Page.RunAsync("return document.querySelector('.detail pre').textContent.length")).GetInt32());
        setup.Broker.Publish(new MqttMessage { Topic = "long", Payload = Encoding.ASCII.GetBytes(new string('y', 100_000)) });
        await Page.WaitAsync("document.querySelector('.detail pre').textContent.startsWith('yy')");
        Assert.Equal(65_536, (await Page.RunAsync("return document.querySelector('.detail pre').textContent.length")).GetInt32());
        await EndAsync();
    }

    // The whole of it with MQTT5_DASHBOARD_WHOLE=1: 10,000 clients and 100,000 topics.
    [Fact]
    public async Task Many_clients_and_topics_do_not_stall_the_page()
    {
        var isWhole = Environment.GetEnvironmentVariable("MQTT5_DASHBOARD_WHOLE") == "1";
        var (clients, topics) = isWhole ? (10_000, 100_000) : (300, 10_000);
        await using var setup = await StartAsync();
        var connected = new List<MqttClient>();

        foreach (var index in Enumerable.Range(0, clients))
            connected.Add(await setup.Broker.ConnectInProcessAsync(options => options.ClientId = $"gauge-{index:D5}").Bounded());

        foreach (var index in Enumerable.Range(0, topics))
            setup.Broker.Publish(new MqttMessage { Topic = $"plant/{index % 10}/gauge-{index:D6}", Payload = "21"u8.ToArray(), Retain = true });

        foreach (var path in new[] { "metrics", "metrics", "clients?limit=100", "clients?limit=1000" })
        {
            using var http = setup.Client(MqttAdminRole.Viewer);
            var watch = System.Diagnostics.Stopwatch.StartNew();
            var answer = await http.GetByteArrayAsync(path);
            TestContext.Current.TestOutputHelper?.WriteLine($"{path}: {answer.Length} bytes in {watch.Elapsed.TotalMilliseconds:F1} ms");
            Assert.NotEmpty(answer);
        }

        await SignInAsync(setup, MqttAdminRole.Viewer, "clients");
        await Page.RunAsync("window.longest = 0; new PerformanceObserver(list => { for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration); }).observe({ type: 'longtask' })");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 100");
        await Page.TypeAsync("[name=contains]", $"{clients - 1:D5}");
        await Page.WaitAsync("document.querySelectorAll('tbody tr').length === 1");
        await Page.RunAsync("location.hash = '#/topics'");
        await Page.WaitForTextAsync(".split .note", $"{topics.ToString("N0", System.Globalization.CultureInfo.InvariantCulture)} retained messages");
        await Page.RunAsync("document.querySelector('[role=tree]').focus()");
        await Page.PressAsync(Browser.Home, Browser.Right);
        await Page.WaitAsync("document.querySelectorAll('[role=treeitem]').length === 11");

        foreach (var _ in Enumerable.Range(0, 10))
        {
            await Page.PressAsync(Browser.End, Browser.Right);
            await Page.WaitAsync("document.querySelector('.row.active')");
        }

        await Page.PressAsync(Browser.End);
        await Page.WaitForTextAsync(".row.active", $"gauge-{topics - 1:D6}");
        Assert.InRange(await Page.CountAsync("[role=treeitem]"), 1, 100);
        var longest = (await Page.RunAsync("return window.longest")).GetDouble();
        TestContext.Current.TestOutputHelper?.WriteLine($"{clients} clients, {topics} topics: the longest task took {longest} ms");
        Assert.InRange(longest, 0, 2_000);
        await EndAsync();

        foreach (var client in connected)
            await client.DisposeAsync();
    }

    private const string Colors = """
        const color = text => {
            const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            canvas.fillStyle = text;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const brightness = ([red, green, blue]) => {
            const part = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
            return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
        };

        """;

    private async Task<AdminSetup> StartAsync(Action<MqttBrokerOptions>? configure = null)
    {
        Assert.SkipWhen(fixture.Browser is null, "chromium-driver is not installed");
        await Page.ComplaintsAsync();
        return await AdminSetup.StartAsync(configure, options => options.Api.EventStreams = 100);
    }

    private async Task SignInAsync(AdminSetup setup, MqttAdminRole role, string page)
    {
        await Page.OpenAsync("about:blank");
        await Page.OpenAsync($"{setup.Server.Address}/#/{page}");
        await Page.WaitAsync("document.querySelector('input[name=token], #sign-out')");

        if (await Page.CountAsync("#sign-out") > 0)
            await Page.ClickAsync("#sign-out");

        await Page.TypeAsync("input[name=token]", setup.TokenOf(role));
        await Page.ClickAsync("button.main");
        await Page.WaitAsync("document.querySelector('nav')");
    }

    private async Task EndAsync() => Assert.Empty(await Page.ComplaintsAsync());
}
