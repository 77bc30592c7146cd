using System.CommandLine;
using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>The command line of <c>mqtt5 sub</c>.</summary>
internal static class SubscribeCommand
{
    private const string Description = """
        Subscribes and prints what comes, with the options and formats of mosquitto_sub.

        Example:
          mqtt5 sub -t 'plant/+/temp' -v

        Exit codes:
          0    ended by -C, -E, --retained-only, or an interruption
          1    bad usage, or no connection
          27   the time of -W is over
          128  and above: the reason code with which the server refused or disconnected
        """;

    /// <summary>Makes the command.</summary>
    public static Command Create(Terminal terminal)
    {
        var connection = new ConnectionOptions(namesTopic: true);
        var output = new OutputOptions();
        var topics = Many("--topic", "Subscribe to this Topic Filter. Can be repeated.", "-t");
        var leftOut = Many("--filter-out", "Print no messages whose topic matches this. Can be repeated.", "-T");
        var unsubscriptions = Many("--unsubscribe", "Unsubscribe from this Topic Filter. Can be repeated.", "-U");
        var qos = BoundedOption.Of("The greatest QoS that the server may use. Default: 0.", 0, 2, "--qos", "-q");
        var count = BoundedOption.Of("End after so many messages.", 1, long.MaxValue, "--count", "-C");
        var timeout = BoundedOption.Of("End after so many seconds, with exit code 27.", 1, 4_000_000, "--timeout", "-W");
        var subscribedOnly = Flag("--exit-when-subscribed", "End as soon as the server has answered the subscriptions.", "-E");
        var skipRetained = Flag("--no-retained", "Print no retained messages.", "-R");
        var retainedOnly = Flag("--retained-only", "Print retained messages only, and end at the first other one.");
        var removeRetained = Flag("--remove-retained", "Take the retained messages that come from the server.");
        var asPublished = Flag("--retain-as-published", "Messages keep the RETAIN flag that they were published with.");
        var handling = new Option<string>("--retain-handling") { Description = "When retained messages come: always, for new subscriptions, or never.", DefaultValueFactory = _ => "always" };
        handling.AcceptOnlyFromAmong("always", "new", "never");
        var percentage = new Option<string?>("--random-filter") { Description = "Print so many of 100 messages, by chance.", HelpName = "PERCENT" };
        var command = new Command("sub", Description)
        {
            topics, leftOut, unsubscriptions, qos, count, timeout, subscribedOnly, skipRetained, retainedOnly,
            removeRetained, asPublished, handling, percentage,
        };
        output.AddTo(command);
        connection.AddTo(command);
        command.SetAction((result, cancellationToken) => ClientVerb.RunAsync(
            terminal,
            () =>
            {
                var how = connection.Read(result);
                string[] names = [.. how.Topic is { } topic ? new[] { topic } : [], .. result.GetValue(topics) ?? []];
                string[] given = [.. result.GetValue(unsubscriptions) ?? []];

                if (names.Length + given.Length == 0)
                    throw new UsageException("give a topic to subscribe to, with -t");

                if (result.GetValue(skipRetained) && result.GetValue(retainedOnly))
                    throw new UsageException("-R and --retained-only exclude each other");

                return new SubscribeRequest
                {
                    Connection = how,
                    Output = output.Read(result, how.Properties),
                    Filters = [.. names.Select(name => new MqttTopicFilter(TextArgument.Filter("--topic", name).Text, (QoS)(result.GetValue(qos) ?? 0))
                    {
                        RetainAsPublished = result.GetValue(asPublished),
                        RetainHandling = HandlingOf(result.GetValue(handling)!),
                    })],
                    Unsubscriptions = [.. given.Select(name => TextArgument.Filter("--unsubscribe", name).Text)],
                    LeftOut = [.. (result.GetValue(leftOut) ?? []).Select(name => TextArgument.Filter("--filter-out", name))],
                    Count = result.GetValue(count),
                    Timeout = result.GetValue(timeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
                    EndsWhenSubscribed = result.GetValue(subscribedOnly),
                    SkipsRetained = result.GetValue(skipRetained),
                    RetainedOnly = result.GetValue(retainedOnly),
                    RemovesRetained = result.GetValue(removeRetained),
                    Percentage = PercentageOf(result.GetValue(percentage)),
                };
            },
            request => request.Connection,
            request => SubscribeVerb.RunAsync(request, terminal, cancellationToken),
            cancellationToken));
        return command;
    }

    private static RetainHandling HandlingOf(string name) =>
        name switch
        {
            "new" => RetainHandling.SendIfNew,
            "never" => RetainHandling.DoNotSend,
            _ => RetainHandling.SendAtSubscribe,
        };

    private static double PercentageOf(string? text)
    {
        if (text is null)
            return 100;

        return double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percentage) && percentage is >= 0.1 and <= 100
            ? percentage
            : throw new UsageException($"--random-filter is a number from 0.1 to 100, not '{text}'");
    }

    private static Option<string[]> Many(string name, string description, params string[] others) =>
        new(name, others) { Description = description, HelpName = "FILTER", Arity = ArgumentArity.OneOrMore };

    private static Option<bool> Flag(string name, string description, params string[] others) =>
        new(name, others) { Description = description, Arity = ArgumentArity.Zero };
}
