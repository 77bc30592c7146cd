using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>ctl</c>.</summary>
internal static class CtlCommand
{
    private const int MostEntries = 1_000_000;

    /// <summary>Where <c>mqtt5 broker --admin-port 18830</c> serves the API.</summary>
    public const string DefaultUrl = "http://127.0.0.1:18830/admin";

    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var action = new Argument<string>("ACTION") { Description = "What to do; see above." };
        action.AcceptOnlyFromAmong([.. CtlAction.All.Select(one => one.Name)]);
        var name = new Argument<string?>("NAME") { Description = "The client, the filter or the topic.", Arity = ArgumentArity.ZeroOrOne };
        var topic = new Argument<string?>("TOPIC") { Description = "The topic that explain is about.", Arity = ArgumentArity.ZeroOrOne };
        var url = new Option<string>("--url") { Description = $"Where the API of the broker is. Default: {DefaultUrl}.", HelpName = "URL", DefaultValueFactory = _ => DefaultUrl };
        var tokens = FileOption.Of("The file of the tokens, as the broker made it; the last in it is used. Default: that of --admin-token-file.", "--token-file");
        var authorities = FileOption.Of("Authorities in PEM that the certificate of the API may be of. Default: those of the system.", "--cafile");
        var json = new Option<bool>("--json") { Description = "Print JSON, an object a line, in place of a table." };
        var limit = BoundedOption.Of("The most entries of a list. Default: 1000.", 1, MostEntries, "--limit");
        var state = new Option<string?>("--state") { Description = "Only clients in this state: connected or away.", HelpName = "STATE" };
        state.AcceptOnlyFromAmong("connected", "away");
        var contains = new Option<string?>("--contains") { Description = "Only clients whose identifiers contain this.", HelpName = "TEXT" };
        var message = new Option<string?>("--message", "-m") { Description = "The payload to publish, as text. Default: none.", HelpName = "TEXT" };
        var qos = BoundedOption.Of("The QoS to publish or to explain with. Default: 0.", 0, 2, "--qos", "-q");
        var retain = new Option<bool>("--retain", "-r") { Description = "Publish with RETAIN; without a message, it removes the retained one." };
        var command = new Command("ctl", """
            Looks into a running 'mqtt5 broker --admin-port', or changes it, over its HTTP API.

              overview                   figures of now
              listeners                  where it listens
              clients, client ID         who is connected, and one of them
              sessions                   what waits for whom
              disconnect ID, end ID      end a connection, or a session
              subscriptions [FILTER]     who subscribed to what
              groups                     shared subscriptions and their members
              retained [FILTER]          retained messages; # is not for $SYS
              publish TOPIC              a message in the name of the broker
              explain ID TOPIC           why a client gets a message, or does not
              dropped, limits            what was dropped or refused, and why
              reload                     read passwords, rules and certificates again
              health                     whether it serves

            Examples:
              mqtt5 ctl clients --state connected
              mqtt5 ctl explain gauge-7 plant/7/temp
              mqtt5 ctl publish plant/door -m open -q 1
              mqtt5 ctl reload

            Exit codes:
              0    done
              1    the API refused it or cannot be reached, or the broker does not serve
              2    the command line or a file cannot be used
            """)
        {
            action, name, topic, url, tokens, authorities, json, limit, state, contains, message, qos, retain,
        };
        command.SetAction((result, cancellationToken) => CtlVerb.RunAsync(
            new CtlRequest
            {
                Action = result.GetValue(action)!,
                Name = result.GetValue(name),
                Topic = result.GetValue(topic),
                Url = UrlOf(result.GetValue(url)!),
                TokenFile = result.GetValue(tokens),
                Authorities = result.GetValue(authorities),
                Json = result.GetValue(json),
                Limit = (int)(result.GetValue(limit) ?? 1_000),
                State = result.GetValue(state),
                Contains = result.GetValue(contains),
                Message = result.GetValue(message) ?? "",
                QoS = (int)(result.GetValue(qos) ?? 0),
                Retain = result.GetValue(retain),
            },
            terminal,
            cancellationToken));
        return command;
    }

    private static Uri UrlOf(string text) =>
        Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
            ? url
            : throw new UsageException($"--url: '{text}' is no URL of http or https");
}
