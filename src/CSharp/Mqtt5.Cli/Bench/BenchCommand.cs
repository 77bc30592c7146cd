using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>bench</c>.</summary>
internal static class BenchCommand
{
    private const int MostClients = 100_000;
    private const int UsualQoS0Window = 8_000;
    private const int UsualWindow = 64;
    private const int UsualConcurrency = 50;

    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var target = new TargetOptions();
        var publishers = BoundedOption.Of("Clients that publish. Default: 1.", 1, MostClients, "--publishers");
        var subscribers = BoundedOption.Of("Clients that subscribe. Default: 1.", 0, MostClients, "--subscribers");
        var qos = BoundedOption.Of("The QoS of messages and subscriptions. Default: 0.", 0, 2, "--qos", "-q");
        var size = BoundedOption.Of($"Bytes of a payload. Default: {LoadRequest.SmallestPayloadBytes}, the least.", LoadRequest.SmallestPayloadBytes, Spec.MaximumPacketBytes, "--size");
        var rate = BoundedOption.Of("Messages a second of all publishers together, or connections with --connects. Default: as fast as it goes.", 1, 1_000_000_000, "--rate");
        var window = BoundedOption.Of($"Messages of a publisher that may be under way. Default: {UsualQoS0Window} at QoS 0, else {UsualWindow}.", 1, 1_000_000, "--window");
        var spread = new Option<Spread>("--spread") { Description = "Who gets a message: all subscribers, one of them (shared), or those with the publisher's number (paired)." };
        var topic = new Option<string>("--topic", "-t") { Description = "What all topics begin with.", HelpName = "TOPIC", DefaultValueFactory = _ => "mqtt5/bench" };
        var seconds = BoundedOption.Of("How long it is measured. Default: 5.", 1, 86_400, "--seconds");
        var warmUp = BoundedOption.Of("Seconds before that, which do not count. Default: 1.", 0, 3_600, "--warm-up");
        var connects = BoundedOption.Of("Instead of messages: open this many connections, as fast as it goes.", 1, MostClients, "--connects");
        var concurrency = BoundedOption.Of($"Connections that are being opened at a time. Default: {UsualConcurrency}.", 1, MostClients, "--concurrency");
        Option[] ofMessages = [publishers, subscribers, qos, size, window, spread, topic, seconds, warmUp];

        var command = new Command("bench", """
            Measures a broker: messages a second and how long they take, or how fast it takes connections. All clients are in this process; on the machine of the broker they share its processors.

            Examples:
              mqtt5 bench --embedded --seconds 2
              mqtt5 bench --embedded --seconds 2 --qos 1 --rate 2000 --subscribers 3
              mqtt5 bench --embedded --connects 200

            Exit codes:
              0    measured; also when Ctrl+C ended it early
              1    no connection, or a client failed while it ran
              2    bad usage
              128  and above: the reason code with which the server refused
            """);

        foreach (var option in (Option[])[.. ofMessages, rate, connects, concurrency])
            command.Options.Add(option);

        target.AddTo(command);
        command.Validators.Add(result =>
        {
            var isStorm = result.GetResult(connects) is not null;

            foreach (var option in isStorm ? ofMessages : [concurrency])
            {
                if (result.GetResult(option) is { Implicit: false })
                    result.AddError(isStorm ? $"{option.Name} is about messages and cannot be combined with --connects." : $"{option.Name} needs --connects.");
            }
        });

        command.SetAction((result, cancellationToken) => target.RunAsync(
            result,
            terminal,
            server =>
            {
                if (result.GetValue(connects) is { } count)
                {
                    var storm = new StormRequest
                    {
                        Options = server.OptionsOfMany,
                        Connections = (int)count,
                        Concurrency = (int)(result.GetValue(concurrency) ?? UsualConcurrency),
                        Rate = result.GetValue(rate),
                    };
                    return BenchVerb.RunStormAsync(storm, server, target.IsJson(result), terminal, cancellationToken);
                }

                var level = (QoS)(result.GetValue(qos) ?? 0);
                var load = new LoadRequest
                {
                    Options = server.OptionsOfMany,
                    Publishers = (int)(result.GetValue(publishers) ?? 1),
                    Subscribers = (int)(result.GetValue(subscribers) ?? 1),
                    QoS = level,
                    PayloadBytes = (int)(result.GetValue(size) ?? LoadRequest.SmallestPayloadBytes),
                    Rate = result.GetValue(rate),
                    Window = (int)(result.GetValue(window) ?? (level == QoS.AtMostOnce ? UsualQoS0Window : UsualWindow)),
                    Spread = result.GetValue(spread),
                    TopicPrefix = Topic(result.GetValue(topic)!),
                    Duration = TimeSpan.FromSeconds(result.GetValue(seconds) ?? 5),
                    WarmUp = TimeSpan.FromSeconds(result.GetValue(warmUp) ?? 1),
                };
                return BenchVerb.RunLoadAsync(load, server, target.IsJson(result), terminal, cancellationToken);
            },
            cancellationToken));
        return command;
    }

    private static string Topic(string text)
    {
        try
        {
            return TopicName.Of(text.TrimEnd('/')).Text;
        }
        catch (ArgumentException exception)
        {
            throw new UsageException($"--topic: {exception.Message}");
        }
    }
}
