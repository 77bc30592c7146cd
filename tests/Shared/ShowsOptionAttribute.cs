namespace Mqtt5.Tests;

/// <summary>
/// Says that a test fails when these options of the command are ignored. <c>OptionCoverageTests</c> finds the marks in the
/// sources of all tests.
/// </summary>
/// <param name="verb">The verb; <c>connection</c> for the options that all verbs with a connection share.</param>
/// <param name="options">The names of the options.</param>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ShowsOptionAttribute(string verb, params string[] options) : Attribute
{
    /// <summary>The verb.</summary>
    public string Verb => verb;

    /// <summary>The options.</summary>
    public IReadOnlyList<string> Options => options;
}
