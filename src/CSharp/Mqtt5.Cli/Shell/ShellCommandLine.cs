namespace Mqtt5.Cli;

/// <summary>A command of the shell.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Usage">Its name and its arguments; those in brackets may be left out.</param>
/// <param name="Summary">What it does.</param>
/// <param name="Details">What else there is to know, a line each.</param>
internal sealed record ShellCommandLine(string Name, string Usage, string Summary, params IReadOnlyList<string> Details)
{
    /// <summary>All commands.</summary>
    public static IReadOnlyList<ShellCommandLine> All { get; } =
    [
        new("connect", "connect [URL]", "connects to a server", "Without a URL, to the server that the options of 'mqtt5 shell' name.", "connect broker.example", "connect mqtts://anna:secret@broker.example:8883"),
        new("disconnect", "disconnect", "ends the connection and its subscriptions"),
        new("sub", "sub FILTER [QOS]", "subscribes to a Topic Filter", "The QoS is 0, 1 or 2; without one, 0.", "sub plant/+/temp 1"),
        new("unsub", "unsub FILTER", "ends a subscription"),
        new("pub", "pub TOPIC [QOS] [retain] PAYLOAD", "publishes a message", "The payload is the rest of the line. In double quotes it can be empty,", "begin with a number of its own, or hold \\n, \\r, \\t, \\\" and \\\\.", "pub plant/7/temp 1 retain 21.5", "pub plant/7/temp retain \"\"", "pub plant/7/log 1 \"2 pumps on\""),
        new("wait", "wait COUNT [SECONDS]", "waits until so many messages came", "Messages count from the last 'wait'. It fails after 10 seconds, or those given."),
        new("status", "status", "shows the connection and its subscriptions"),
        new("help", "help [COMMAND]", "shows the commands, or one of them"),
        new("exit", "exit", "disconnects and leaves; so does Ctrl+D"),
    ];

    /// <summary>The command with this name, or the one that it begins alone.</summary>
    /// <exception cref="UsageException">There is none, or there are several.</exception>
    public static ShellCommandLine Find(string name)
    {
        var found = All.Where(command => command.Name == name || (name is "quit" && command.Name == "exit")).ToArray();

        if (found is [])
            found = [.. All.Where(command => command.Name.StartsWith(name, StringComparison.Ordinal))];

        return found switch
        {
            [var one] => one,
            [] => throw new UsageException($"there is no command '{name}'; 'help' lists them"),
            _ => throw new UsageException($"'{name}' may be {string.Join(" or ", found.Select(command => command.Name))}"),
        };
    }
}
