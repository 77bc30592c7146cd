using Xunit.v3;

namespace Mqtt5.Tests;

/// <summary>
/// Marks a test that breaks when these statements of the standard are broken. The clause report of Core.Tests reads the
/// mark from the source, so it stands on a line of its own.
/// </summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class, AllowMultiple = true)]
internal sealed class ClauseAttribute(params string[] statements) : Attribute, ITraitAttribute
{
    /// <summary>The ids of the statements, such as MQTT-6.0.0-1.</summary>
    public IReadOnlyList<string> Statements { get; } = statements;

    /// <inheritdoc/>
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() =>
        [.. Statements.Select(statement => KeyValuePair.Create("Clause", statement))];
}
