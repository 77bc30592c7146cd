namespace Mqtt5.Cli;

/// <summary>A connection that failed, for people and for scripts.</summary>
internal static class ConnectionFailure
{
    /// <summary>What happened in a line, with what the server said about it.</summary>
    public static string Describe(MqttException failure, Uri server)
    {
        // The server has nothing to do with it.
        if (failure is MqttNotSupportedException)
            return failure.Message;

        var said = failure.ReasonString is { } text ? $" ({PeerText.Show(text)})" : "";
        return $"{Name(server)}: {failure.Message}{said}";
    }

    /// <summary>
    /// The exit code: the reason code of the server's CONNACK, DISCONNECT or acknowledgement if one is why; otherwise
    /// that of a failure.
    /// </summary>
    public static int ExitCodeOf(MqttException failure) =>
        failure is not MqttNotSupportedException && failure.Reason is { } reason && reason >= ReasonCode.UnspecifiedError ? (int)reason : ExitCode.Fault;

    // Without what may be a secret.
    private static string Name(Uri server) =>
        server.Scheme == "unix" ? server.AbsolutePath : $"{server.Scheme}://{server.Authority}";
}
