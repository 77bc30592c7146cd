namespace Mqtt5.Cli;

/// <summary>The Will Message of a command line.</summary>
/// <param name="Topic">Its topic.</param>
/// <param name="Payload">Its payload, as text.</param>
/// <param name="QoS">Its QoS.</param>
/// <param name="Retain">Whether it is retained.</param>
internal sealed record WillRequest(string Topic, string Payload, QoS QoS, bool Retain);
