namespace Mqtt5.Cli;

/// <summary>Who the server is.</summary>
internal static class ServerChecks
{
    private const string Group = "Server";

    /// <summary>All of them.</summary>
    public static IEnumerable<ProbeCheck> All => [new(Group, "Name", NameAsync)];

    // Most servers tell it under $SYS, as a retained message.
    private static async Task<ProbeFinding> NameAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        try
        {
            var client = await world.ConnectAsync(null, cancellationToken);
            var inbox = await Inbox.OpenAsync(client, new MqttTopicFilter("$SYS/broker/version", world.Acknowledged), cancellationToken);
            await world.PassAsync(client, cancellationToken);
            var told = await inbox.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);
            return told is [var first, ..] ? ProbeFinding.Figure(first.Text) : ProbeFinding.Absent("$SYS/broker/version tells nothing");
        }
        catch (MqttException refused)
        {
            return ProbeFinding.Absent(refused.Message);
        }
    }
}
