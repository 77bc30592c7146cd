using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// A process that is stopped for a while, as a suspended machine is: clients that kept to their Keep Alive meanwhile are not
// ended for it, and their Wills are not published.
[Collection("alone")]
public sealed class PausedProcessTests : CommandProcesses
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(6.5);

    [Fact]
    public async Task What_came_during_a_pause_is_read_before_clients_are_ended_for_silence()
    {
        if (!OperatingSystem.IsLinux())
            return;

        var process = Start("broker", "--port", "0");
        var line = await process.StandardOutput.ReadLineAsync().Bounded();
        var port = new Uri(line!["listening ".Length..]).Port;
        await using var observer = await OpenAsync(port, "CONNECT clean=1 clientid=\"observer\"");
        await observer.SubscribeAsync("\"will\"");
        // Keep Alive 3 s allows 4.5 s of silence, which is over before the pause ends.
        var clients = await Task.WhenAll(Enumerable.Range(0, 20).Select(number => OpenAsync(
            port, $"CONNECT clean=1 clientid=\"c{number}\" keepalive=3 will[topic=\"will\" payload=\"gone\"]")));
        await SignalAsync(process, "STOP");
        var until = Stopwatch.GetTimestamp() + (long)(Pause.TotalSeconds * Stopwatch.Frequency);

        while (Stopwatch.GetTimestamp() < until)
        {
            foreach (var client in clients)
                await client.SendAsync("PINGREQ");

            await Task.Delay(400);
        }

        await SignalAsync(process, "CONT");
        var answers = 0;

        // As long as it takes to answer all pings, while they go on.
        foreach (var client in clients)
        {
            await client.SendAsync("PINGREQ");
            Assert.Equal("PINGRESP", await client.ReadAsync());
            answers++;
        }

        Assert.Equal(clients.Length, answers);
        await observer.ExpectNothingAsync();

        foreach (var client in clients)
            await client.DisposeAsync();
    }

    private static async Task<RawClient> OpenAsync(int port, string connect)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port).Bounded();
        var client = new RawClient(new NetworkStream(socket, ownsSocket: true));
        await client.SendAsync(connect);
        await client.ExpectStartAsync("CONNACK");
        return client;
    }

    private static async Task SignalAsync(Process process, string signal)
    {
        using var kill = Process.Start("kill", ["-" + signal, process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync().Bounded();
        Assert.Equal(0, kill.ExitCode);
    }
}
