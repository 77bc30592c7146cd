namespace Mqtt5.Admin;

/// <summary>What became of a reload.</summary>
/// <param name="IsApplied">Whether the files are in force; false: one cannot be used, and all stays as it was.</param>
/// <param name="Detail">A sentence for operators: what changed, or which file and place cannot be used.</param>
public sealed record MqttReloadOutcome(bool IsApplied, string Detail);
