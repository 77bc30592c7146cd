namespace Mqtt5.Cli;

/// <summary>How the bytes of an input are written.</summary>
internal enum InputFormat
{
    /// <summary>As hexadecimal text if the input begins with text, else as they are.</summary>
    Detect,

    /// <summary>As they are.</summary>
    Raw,

    /// <summary>As hexadecimal text.</summary>
    Hex,
}
