using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>Folders that <c>cdk synth</c> made, or that only look like it.</summary>
public sealed class CloudAssemblyTests : IDisposable
{
    private const string Namespace =
        "  Space: {Type: 'AWS::AppSync::ChannelNamespace', Properties: {ApiId: !GetAtt Api.ApiId, Name: a, CodeS3Location: !Sub 's3://b-${AWS::Region}/dir/code.js'}}\n";

    private readonly TemplateFixture _fixture = new();

    [Fact]
    public void Code_comes_from_the_asset_beside_a_template()
    {
        WriteAssets("""{"path": "asset.1.js", "packaging": "file"}""");
        _fixture.Write("export const onPublish = 1\r\n", "asset.1.js");
        Assert.Equal("export const onPublish = 1\r\n", LoadCode());
    }

    [Theory]
    [InlineData("""{"path": "asset.1", "packaging": "zip"}""", "names 's3://b-us-east-1/dir/code.js', which is a folder to be zipped; handler code is one JavaScript file")]
    [InlineData("""{"path": "../asset.js", "packaging": "file"}""", "names 's3://b-us-east-1/dir/code.js', which the asset manifest places outside its own folder")]
    [InlineData("""{"path": "a\u0000b", "packaging": "file"}""", "names 's3://b-us-east-1/dir/code.js', which the asset manifest places outside its own folder")]
    [InlineData("""{"path": "/etc/passwd", "packaging": "file"}""", "names 's3://b-us-east-1/dir/code.js', which the asset manifest places outside its own folder")]
    [InlineData("""{"path": "gone.js", "packaging": "file"}""", "the file gone.js does not exist")]
    [InlineData("""{"path": "empty.js", "packaging": "file"}""", "the file empty.js must have 1 to 32,768 characters, found 0")]
    [InlineData("""{"path": "long.js", "packaging": "file"}""", "the file long.js must have 1 to 32,768 characters, found 32,769")]
    [InlineData("""{"path": "huge.js", "packaging": "file"}""", "the file huge.js is larger than 131,072 bytes")]
    [InlineData("""{"nothing": 1}""", "cannot find 's3://b-us-east-1/dir/code.js' on this machine: stack.assets.json beside the template has no such asset")]
    public void Code_that_cannot_be_found_is_a_mistake(string source, string message)
    {
        WriteAssets(source);
        _fixture.Write("", "empty.js");
        _fixture.Write(new string('x', 32_769), "long.js");
        _fixture.Write(new string('x', 200_000), "huge.js");
        Assert.Equal([$"stack.yaml:11: Space.Properties.CodeS3Location: {message}"], _fixture.Errors(TemplateFixture.BaseResources + Namespace));
    }

    [Fact]
    public void A_key_that_the_asset_manifest_lacks_is_a_mistake()
    {
        WriteAssets("""{"path": "asset.1.js", "packaging": "file"}""", key: "other.js");
        Assert.EndsWith("stack.assets.json beside the template has no such asset",
            Assert.Single(_fixture.Errors(TemplateFixture.BaseResources + Namespace)), StringComparison.Ordinal);
    }

    [Fact]
    public void Stacks_load_under_their_own_names_after_those_they_depend_on()
    {
        _fixture.Write("""
            {"artifacts": {
              "Second": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "s.json"}, "dependencies": ["First", "Tree", "Second"]},
              "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
              "First": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "f.json", "stackName": "named"}},
              "Stage": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "stage"}}
            }}
            """, "out/manifest.json");
        _fixture.Write("""{"artifacts": {"Third": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t.json"}}}}""", "out/stage/manifest.json");
        foreach (var name in new[] { "out/f.json", "out/s.json", "out/stage/t.json" })
            _fixture.Write("""{"Resources": {}, "Outputs": {"Name": {"Value": {"Ref": "AWS::StackName"}}}}""", name);

        var result = TemplateLoader.Load([_fixture.PathOf("out")], TemplateFixture.Options with { StackName = "not this" });
        Assert.Equal(["named", "Second", "Third"], result.Outputs.Select(output => output.Value));
    }

    [Theory]
    [InlineData("{}", "out/manifest.json:1: artifacts: is missing; is this CDK's manifest?")]
    [InlineData("[", "out/manifest.json:1: is not valid JSON: ")]
    [InlineData("""{"artifacts": {"A": {"type": "aws:cloudformation:stack"}}}""", "out/manifest.json:1: artifacts.A.properties.templateFile: is missing")]
    [InlineData("""{"artifacts": {"A": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "gone.json"}}}}""", "out/gone.json: does not exist")]
    [InlineData("""{"artifacts": {"A": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "gone"}}}}""", "out/gone: is a folder without manifest.json")]
    public void A_broken_assembly_is_one_clear_line(string manifest, string expected)
    {
        _fixture.Write(manifest, "out/manifest.json");
        Assert.StartsWith(expected, Assert.Single(_fixture.ErrorsOf([_fixture.PathOf("out")])), StringComparison.Ordinal);
    }

    [Fact]
    public void An_assembly_inside_itself_ends()
    {
        _fixture.Write("""{"artifacts": {"A": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "."}}}}""", "out/manifest.json");
        Assert.Empty(TemplateLoader.Load([_fixture.PathOf("out")], TemplateFixture.Options).Apis);
    }

    /// <inheritdoc/>
    public void Dispose() => _fixture.Dispose();

    private void WriteAssets(string source, string key = "dir/code.js") => _fixture.Write(
        $$"""{"files": {"x": {"source": {{source}}, "destinations": {"d": {"bucketName": "b", "objectKey": "{{key}}"} } } } }""", "stack.assets.json");

    private string? LoadCode() => _fixture.LoadBase(Namespace).Apis[0].Namespaces["a"].Code;
}
