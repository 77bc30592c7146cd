using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>Runs the demo: one step after another, until one fails.</summary>
internal static class DemoVerb
{
    // Longer than all steps together; what hangs is told as a failure.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(18);

    // A step that is over in a moment stays on the screen for so long, so that a person can follow.
    private static readonly TimeSpan ReadingTime = TimeSpan.FromMilliseconds(400);

    /// <summary>Runs it.</summary>
    public static async Task<int> RunAsync(Terminal terminal, CancellationToken cancellationToken)
    {
        var screen = new Screen(terminal);
        var began = Stopwatch.GetTimestamp();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        await using var world = new DemoWorld();
        screen.Write(new Line().At(1).Add("mqtt5 demo", Look.Strong).Add("  a broker and its clients in this process, over real sockets"));
        screen.Write();

        var steps = new (string Name, Func<DemoStep, CancellationToken, Task> Run)[]
        {
            ("Broker", world.StartBrokerAsync),
            ("Connect", world.ConnectAsync),
            ("QoS 0", (step, token) => world.DeliverAsync(step, QoS.AtMostOnce, token)),
            ("QoS 1", (step, token) => world.DeliverAsync(step, QoS.AtLeastOnce, token)),
            ("QoS 2", (step, token) => world.DeliverAsync(step, QoS.ExactlyOnce, token)),
            ("Exactly once", (step, token) => ExactlyOnce.RunAsync(step, world.Tcp, world.WebSocketClient, token)),
            ("Throughput", (step, token) => Speed.MeasureThroughputAsync(step, world.Tcp, screen, token)),
            ("Latency", (step, token) => Speed.MeasureLatencyAsync(step, world.Tcp, screen, token)),
        };

        foreach (var (name, run) in steps)
        {
            var step = new DemoStep(name, screen);

            try
            {
                await screen.DuringAsync(step.Draw, async () =>
                {
                    await run(step, limit.Token);
                    step.End();

                    if (screen.IsLive)
                        await Task.Delay(ReadingTime, limit.Token);

                    return true;
                });
                screen.Write(step.Finished());
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return ExitCode.Interrupted;
            }
            catch (Exception failure) when (failure is DemoException or MqttException or IOException or OperationCanceledException)
            {
                var reason = failure is OperationCanceledException ? $"this did not end within {Figures.Duration(Limit)}" : failure.Message;
                screen.Write(step.Failed(reason));
                await terminal.Error.WriteLineAsync($"mqtt5: {name}: {reason}");
                return ExitCode.Fault;
            }
        }

        Advise(screen, Stopwatch.GetElapsedTime(began));
        return ExitCode.WellFormed;
    }

    private static void Advise(Screen screen, TimeSpan took)
    {
        screen.Write();
        screen.Write(new Line().At(1).Add($"All of this is true, and took {Figures.Duration(took)}.", Look.Strong).Add(" Try next:"));
        screen.Write();

        if (Installation.Alias() is { } alias)
            Advise(screen, alias, "");

        Advise(screen, "mqtt5 broker --port 1883", "runs this broker");
        Advise(screen, "mqtt5 sub -t 'plant/#' -v", "listens to it, in a second terminal");
        Advise(screen, "mqtt5 pub -t plant/7/temp -m 21.5", "publishes to it, in a third");
        Advise(screen, "mqtt5 probe", "tells what a broker can do");
        Advise(screen, "mqtt5 bench --embedded", "measures one");
    }

    private static void Advise(Screen screen, string command, string effect) =>
        screen.Write(new Line().At(3).Add(command, Look.Accent).At(38).Add(effect));
}
