using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>
/// Plays the server of a scenario on a socket to a client program that it starts, and tells the run what the client does. It
/// decides nothing.
/// </summary>
internal sealed class ScenarioPlayer(ClientCommands commands, ScenarioSettings settings, int port)
{
    // Silence is judged at least as often as this.
    private const long TickMilliseconds = 500;

    /// <summary>Plays a scenario to its end; null: there is no command for its role.</summary>
    /// <exception cref="UsageException">The program cannot be started.</exception>
    /// <exception cref="SocketException">The port is taken.</exception>
    public async Task<ClientRun?> PlayAsync(ClientScenario scenario, CancellationToken cancellationToken)
    {
        if (commands.Of(scenario.Task.Role) is not { } command)
            return null;

        var inputs = Channel.CreateUnbounded<ClientInput>();
        var connections = new Dictionary<int, ServedConnection>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        var accepting = AcceptAsync(listener, connections, inputs.Writer, stop.Token);

        try
        {
            var clock = Stopwatch.StartNew();
            var run = ClientRunModule.Start(settings, scenario, 0);
            var values = ClientCommands.ValuesOf(scenario.Task, scenario.Version, ((IPEndPoint)listener.LocalEndpoint).Port);
            await using var program = ClientProgram.Start(command, values, input => inputs.Writer.TryWrite(input), () => EndedAsync(connections));
            var input = ClientInput.Tick;

            while (true)
            {
                var (next, demands) = ClientRunModule.Step(run, clock.ElapsedMilliseconds, input);
                run = next;

                foreach (var demand in demands)
                    await DoAsync(demand, connections, cancellationToken);

                if (run.Outcome.IsValueSome)
                    return run;

                input = await NextAsync(inputs.Reader, Math.Min(run.Deadline - clock.ElapsedMilliseconds, TickMilliseconds), cancellationToken);
            }
        }
        finally
        {
            await stop.CancelAsync();
            listener.Stop();
            await accepting;

            foreach (var connection in connections.Values)
                await connection.DisposeAsync();
        }
    }

    private static async Task AcceptAsync(
        TcpListener listener, Dictionary<int, ServedConnection> connections, ChannelWriter<ClientInput> inputs, CancellationToken stop)
    {
        try
        {
            for (var number = 1; ; number++)
            {
                var client = await listener.AcceptTcpClientAsync(stop);
                client.NoDelay = true;

                lock (connections)
                    connections.Add(number, new ServedConnection(client, number, inputs));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The scenario is over.
        }
    }

    private static Task EndedAsync(Dictionary<int, ServedConnection> connections)
    {
        lock (connections)
            return Task.WhenAll(connections.Values.Select(connection => connection.Ended));
    }

    private static async Task<ClientInput> NextAsync(ChannelReader<ClientInput> inputs, long milliseconds, CancellationToken cancellationToken)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        time.CancelAfter(TimeSpan.FromMilliseconds(Math.Max(1, milliseconds)));

        try
        {
            return await inputs.ReadAsync(time.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ClientInput.Tick;
        }
    }

    private static async Task DoAsync(ClientDemand demand, Dictionary<int, ServedConnection> connections, CancellationToken cancellationToken)
    {
        ServedConnection? connection;

        var number = demand switch
        {
            ClientDemand.Write write => write.Connection,
            ClientDemand.WriteText text => text.Connection,
            _ => ((ClientDemand.Close)demand).Connection,
        };

        lock (connections)
            connections.TryGetValue(number, out connection);

        if (connection is null)
            return;

        if (demand is ClientDemand.Write { Bytes: var bytes })
            await connection.WriteAsync(bytes.Memory, cancellationToken);
        else if (demand is ClientDemand.WriteText { Text: var words })
            await connection.WriteTextAsync(words, cancellationToken);
        else
            connection.Close();
    }
}
