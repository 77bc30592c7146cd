namespace Mqtt5.Admin;

/// <summary>How the HTTP API behaves. Read once, when it is mapped.</summary>
public sealed class MqttAdminOptions
{
    /// <summary>The policy of authorization that <see cref="MqttAdminRole.Viewer"/> stands for; null: what the application requires of all endpoints.</summary>
    public string? ViewerPolicy { get; set; }

    /// <summary>The policy that <see cref="MqttAdminRole.Operator"/> stands for; null: as the viewer's.</summary>
    public string? OperatorPolicy { get; set; }

    /// <summary>The policy that <see cref="MqttAdminRole.Administrator"/> stands for; null: as the operator's.</summary>
    public string? AdministratorPolicy { get; set; }

    /// <summary>
    /// Whether <c>health/live</c> and <c>health/ready</c> answer without authorization. They tell nothing but their status.
    /// Default: true.
    /// </summary>
    public bool AnonymousHealth { get; set; } = true;

    /// <summary>Requests a second that are answered; more get 429. 1 to 100,000. Default: 100.</summary>
    public int RequestsPerSecond { get; set; } = 100;

    /// <summary>Streams of events at a time; more get 429. 1 to 1,000. Default: 16.</summary>
    public int EventStreams { get; set; } = 16;

    /// <summary>The largest body of a request, in bytes; larger ones get 413. 1,024 to 16,777,216. Default: 1,048,576.</summary>
    public int MaximumBodyBytes { get; set; } = 1 << 20;

    /// <summary>
    /// Reads the files of the broker again for <c>POST reload</c>; null, the default: there is nothing that can be. It may be called by several
    /// requests at a time.
    /// </summary>
    public Func<CancellationToken, Task<MqttReloadOutcome>>? Reload { get; set; }

    // Whether tokens are exchanged for cookies beside it: the files of the dashboard are then for everyone, as the sign-in is among them.
    internal bool HasOwnLogin { get; set; }

    internal string? PolicyOf(MqttAdminRole role) => role switch
    {
        MqttAdminRole.Viewer => ViewerPolicy,
        MqttAdminRole.Operator => OperatorPolicy ?? ViewerPolicy,
        _ => AdministratorPolicy ?? OperatorPolicy ?? ViewerPolicy,
    };

    internal void Check()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(RequestsPerSecond, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(RequestsPerSecond, 100_000);
        ArgumentOutOfRangeException.ThrowIfLessThan(EventStreams, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(EventStreams, 1_000);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumBodyBytes, 1_024);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumBodyBytes, 1 << 24);
    }
}
