using System.Globalization;
using Microsoft.Extensions.Time.Testing;

namespace Mqtt5.BrokerTests;

// Plays a script of raw clients against a broker of its own over TCP. Every line is `NAME VERB REST`:
//
//   c > PACKET       c sends a packet in notation; its connection is opened if there is none
//   c >> HEX         c sends these bytes
//   c < PACKET       c receives exactly this packet; `<*` one that begins so; `<<` exactly these bytes
//   c quiet          nothing is due to c: the answer to its PINGREQ comes next
//   c closed         the broker has closed the connection of c
//   c leaves         c closes its socket without DISCONNECT, and the broker has noticed
//   c speaks 311     all that c sends and receives in notation is in MQTT 3.1.1; 31: in MQTT 3.1
//   c joins REST     CONNECT with Clean Start and the Client Identifier c, and CONNACK without a session
//   c resumes REST   CONNECT without Clean Start, and CONNACK with Session Present
//   c subscribes F   SUBSCRIBE to these filters, and SUBACK
//   time SECONDS     so much time passes
//   sessions N       the broker keeps so many sessions
internal sealed class Script : IAsyncDisposable
{
    private readonly FakeTimeProvider time = new();
    private readonly Dictionary<string, RawClient> clients = [];
    private MqttBroker broker = null!;

    public static async Task RunAsync(string lines, Action<MqttBrokerOptions>? configure = null)
    {
        await using var script = new Script();
        script.broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = script.time;
            configure?.Invoke(options);
        });

        foreach (var line in lines.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            try
            {
                await script.PlayAsync(line.Split(' ', 3, StringSplitOptions.TrimEntries));
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"in the line: {line}\n{failure.Message}", failure);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in clients.Values)
            await client.DisposeAsync();

        await broker.DisposeAsync();
    }

    private Task PlayAsync(string[] words)
    {
        var (name, verb, rest) = (words[0], words[1], words.Length > 2 ? words[2] : "");

        return name switch
        {
            "time" => PassAsync(verb),
            "sessions" => Waits.UntilAsync(() => broker.Sessions.Count == int.Parse(verb, CultureInfo.InvariantCulture)),
            _ => PlayAsync(name, verb, rest),
        };
    }

    private async Task PlayAsync(string name, string verb, string rest)
    {
        if (verb is not (">" or ">>" or "joins" or "resumes" or "speaks"))
            Assert.True(clients.ContainsKey(name), "this client has no connection");

        if (!clients.TryGetValue(name, out var client))
            clients[name] = client = await RawClient.OpenAsync(broker);

        switch (verb)
        {
            case ">":
                await client.SendAsync(rest);
                break;
            case ">>":
                await client.SendAsync(Bytes(rest));
                break;
            case "<":
                await client.ExpectAsync(rest);
                break;
            case "<*":
                await client.ExpectStartAsync(rest);
                break;
            case "<<":
                await client.ExpectBytesAsync(Bytes(rest));
                break;
            case "quiet":
                await client.ExpectNothingAsync();
                break;
            case "closed":
                await client.ExpectEndAsync();
                await RemoveAsync(name);
                break;
            case "leaves":
                var connected = broker.ConnectionCount;
                await RemoveAsync(name);
                await Waits.UntilAsync(() => broker.ConnectionCount < connected);
                break;
            case "speaks":
                client.Version = rest == "31" ? ProtocolVersion.V31 : ProtocolVersion.V311;
                break;
            case "joins":
                await client.SendAsync($"CONNECT clean=1 clientid=\"{name}\" {rest}");
                await client.ExpectStartAsync("CONNACK rc=Success");
                break;
            case "resumes":
                await client.SendAsync($"CONNECT clientid=\"{name}\" {rest}");
                await client.ExpectStartAsync("CONNACK sp=1 rc=Success");
                break;
            case "subscribes":
                await client.SubscribeAsync(rest);
                break;
            default:
                Assert.Fail("there is no such verb");
                break;
        }
    }

    // What the broker does at its time is done when this returns: its timers run within Advance.
    private Task PassAsync(string seconds)
    {
        time.Advance(TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)));
        return Task.CompletedTask;
    }

    private async Task RemoveAsync(string name)
    {
        clients.Remove(name, out var client);
        await client!.DisposeAsync();
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
}
