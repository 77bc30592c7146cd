using System.CommandLine;
using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>The command line of <c>mqtt5 pub</c>.</summary>
internal static class PublishCommand
{
    private const int DefaultInFlight = 20;

    private const string Description = """
        Publishes messages, with the options of mosquitto_pub.

        Example:
          mqtt5 pub -t plant/7/temp -m 21.5 -q 1

        Exit codes:
          0    published; with -q 1 and 2: acknowledged
          1    bad usage, or no connection
          128  and above: the reason code with which the server refused the connection or a message
          130  interrupted
        """;

    /// <summary>Makes the command.</summary>
    public static Command Create(Terminal terminal)
    {
        var connection = new ConnectionOptions(namesTopic: true);
        var message = new MessageOptions();
        var repeat = BoundedOption.Of("Publish so often. Default: once. Not with -l.", 1, int.MaxValue, "--repeat");
        var delay = new Option<string?>("--repeat-delay") { Description = "Seconds to wait between, as in 0.5.", HelpName = "SECONDS" };
        var inFlight = BoundedOption.Of($"How many messages may be unacknowledged with -l. Default: {DefaultInFlight}.", 1, ushort.MaxValue, "--max-inflight", "-M");
        var command = new Command("pub", Description);
        message.AddTo(command);
        command.Options.Add(repeat);
        command.Options.Add(delay);
        command.Options.Add(inFlight);
        connection.AddTo(command);
        command.SetAction((result, cancellationToken) => ClientVerb.RunAsync(
            terminal,
            () =>
            {
                var how = connection.Read(result);
                return new PublishRequest(
                    how,
                    message.Read(result, how),
                    (int)(result.GetValue(repeat) ?? 1),
                    DelayOf(result.GetValue(delay)),
                    (int)(result.GetValue(inFlight) ?? DefaultInFlight));
            },
            request => request.Connection,
            request => PublishVerb.RunAsync(request, terminal, cancellationToken),
            cancellationToken));
        return command;
    }

    private static TimeSpan DelayOf(string? text)
    {
        if (text is null)
            return TimeSpan.Zero;

        // Timers take no longer ones.
        return double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds <= 4_000_000
            ? TimeSpan.FromSeconds(seconds)
            : throw new UsageException($"--repeat-delay is a number of seconds from 0 to 4000000, not '{text}'");
    }
}
