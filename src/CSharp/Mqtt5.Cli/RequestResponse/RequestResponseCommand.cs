using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The command line of <c>mqtt5 rr</c>.</summary>
internal static class RequestResponseCommand
{
    private const string Description = """
        Sends a request and prints the answer, with the options of mosquitto_rr.

        Example:
          mqtt5 rr -t plant/7/ask -m temperature -W 10

        Exit codes:
          0    answered
          1    bad usage, or no connection
          27   the time of -W is over
          128  and above: the reason code with which the server refused the connection or the request
          130  interrupted
        """;

    /// <summary>Makes the command.</summary>
    public static Command Create(Terminal terminal)
    {
        var connection = new ConnectionOptions(namesTopic: true);
        var message = new MessageOptions(takesLines: false);
        var output = new OutputOptions();
        var responseTopic = new Option<string?>("--response-topic", "-e") { Description = "The topic of the answer. Default: one of this client's own, with Correlation Data. Needed before MQTT 5, which does not tell it to the other side.", HelpName = "TOPIC" };
        var skipRetained = new Option<bool>("--no-retained", "-R") { Description = "A retained message is no answer.", Arity = ArgumentArity.Zero };
        var timeout = BoundedOption.Of("Wait for so many seconds, then end with exit code 27.", 1, 4_000_000, "--timeout", "-W");
        var command = new Command("rr", Description);
        message.AddTo(command);
        command.Options.Add(responseTopic);
        command.Options.Add(skipRetained);
        command.Options.Add(timeout);
        output.AddTo(command);
        connection.AddTo(command);
        command.SetAction((result, cancellationToken) => ClientVerb.RunAsync(
            terminal,
            () =>
            {
                var how = connection.Read(result);
                var asked = message.Read(result, how);

                if (asked.Source == PayloadSource.Lines)
                    throw new UsageException("-l: a request is one message; give it with -m, -f, -s or -n");

                if (!how.Version.IsV5 && result.GetValue(responseTopic) is null)
                    throw new UsageException($"-e: {Spec.version(how.Version).Name} has no Response Topic, so give the topic of the answer");

                return new RequestResponseRequest(
                    how,
                    asked,
                    output.Read(result, how.Properties),
                    result.GetValue(responseTopic) is { } topic ? TextArgument.Topic("--response-topic", topic).Text : null,
                    result.GetValue(skipRetained),
                    result.GetValue(timeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : null);
            },
            request => request.Connection,
            request => RequestResponseVerb.RunAsync(request, terminal, cancellationToken),
            cancellationToken));
        return command;
    }
}
